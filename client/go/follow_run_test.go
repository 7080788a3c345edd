package mmsmo

import (
	"context"
	"testing"

	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// A frame that arrived before the stop, and is looked at after it, passes over nothing that was not handed over.
func TestFollowStandsStillOnceItIsStopped(t *testing.T) {
	options := Options{}
	var run *followRun
	run = newFollowRun(context.Background(), &options, FromEarliest(), func(context.Context, *mmsmov1.Event) error {
		run.stop(Release, 0)
		return nil
	})
	two := &mmsmov1.DeliveryBatch{Deliveries: []*mmsmov1.Delivery{
		{Event: &mmsmov1.Event{Cursor: "first"}}, {Event: &mmsmov1.Event{Cursor: "second"}}}}
	frames := []*mmsmov1.SubscribeResponse{
		{Cursor: "second", Content: &mmsmov1.SubscribeResponse_Batch{Batch: two}},
		{Cursor: "second", Content: &mmsmov1.SubscribeResponse_CaughtUp{CaughtUp: &mmsmov1.CaughtUp{}}},
	}
	for _, frame := range frames {
		if err := run.onFrame(frame); err != nil {
			t.Error(err)
		}
	}
	if run.cursor() != "first" {
		t.Errorf("it stands at %q, although only the first was handed over", run.cursor())
	}
}
