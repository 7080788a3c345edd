package mmsmo

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// FromEarliest begins with the oldest event that the gateway still has.
func FromEarliest() *mmsmov1.StartPosition { return fromBoundary(mmsmov1.Boundary_BOUNDARY_EARLIEST) }

// FromLatest begins with what arrives from now on.
func FromLatest() *mmsmov1.StartPosition { return fromBoundary(mmsmov1.Boundary_BOUNDARY_LATEST) }

// AfterCursor begins with what follows an event, or the position that Subscriber.Cursor gave.
func AfterCursor(cursor string) *mmsmov1.StartPosition {
	return &mmsmov1.StartPosition{Position: &mmsmov1.StartPosition_AfterCursor{AfterCursor: cursor}}
}

// FromTime begins with the first event that the gateway accepted at or after t.
func FromTime(t time.Time) *mmsmov1.StartPosition {
	return &mmsmov1.StartPosition{Position: &mmsmov1.StartPosition_AcceptTime{AcceptTime: timestamppb.New(t)}}
}

func fromBoundary(boundary mmsmov1.Boundary) *mmsmov1.StartPosition {
	return &mmsmov1.StartPosition{Position: &mmsmov1.StartPosition_Boundary{Boundary: boundary}}
}
