package mmsmo

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// ErrAckExpired: the event is delivered again, or was already.
	ErrAckExpired = errors.New("it is delivered again, or was already")
	// ErrAckInvalid: the gateway does not know the ack_id.
	ErrAckInvalid = errors.New("the gateway does not know the ack_id")
	// ErrHandlersRunning: Run returned although handlers had not, long after their contexts ended.
	ErrHandlersRunning = errors.New("handlers have not returned")
	// ErrUsed: a Subscriber was run a second time.
	ErrUsed = errors.New("a Subscriber runs once")
)

// CursorExpiredError says that a position is no longer retained.
type CursorExpiredError struct {
	// The position before the oldest event that is: AfterCursor(EarliestCursor) goes on with it.
	EarliestCursor string
	status         *status.Status
}

func (e *CursorExpiredError) Error() string {
	return fmt.Sprintf("%s; the earliest cursor is %s", e.status.Message(), e.EarliestCursor)
}

// GRPCStatus is what the gateway answered, with code OutOfRange.
func (e *CursorExpiredError) GRPCStatus() *status.Status { return e.status }

// PanicError is what a handler panicked with.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("the handler panicked: %v", e.Value) }

// Unwrap is the value, where that was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// typed makes of a status what a user can ask for its contents.
func typed(err error) error {
	answer := status.Convert(err)
	if answer.Code() != codes.OutOfRange {
		return err
	}
	for _, detail := range answer.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == "CURSOR_EXPIRED" {
			return &CursorExpiredError{EarliestCursor: info.GetMetadata()["earliest_cursor"], status: answer}
		}
	}
	return err
}

// isFinal says whether it makes no sense to try again.
func isFinal(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated,
		codes.Unimplemented, codes.FailedPrecondition, codes.OutOfRange:
		return true
	default:
		return false
	}
}

// retryDelay is how long the gateway asks to wait; 0 where it asks for nothing.
func retryDelay(err error) time.Duration {
	if status.Code(err) != codes.Unavailable {
		return 0
	}
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return max(retry.GetRetryDelay().AsDuration(), 0)
		}
	}
	return 0
}
