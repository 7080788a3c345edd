package billing

import (
	"context"
	"testing"
	"time"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmotest"
)

func TestAMessageIsHandled(t *testing.T) {
	gateway := mmsmotest.Start(t)
	gateway.CreateSubscription("billing")
	gateway.Post("message-1")

	subscriber, err := mmsmo.NewSubscriber(mmsmo.Options{Target: gateway.Target})
	if err != nil {
		t.Fatal(err)
	}
	handled := ""
	err = subscriber.Run(context.Background(), "billing", func(_ context.Context, d *mmsmo.Delivery) mmsmo.Verdict {
		defer subscriber.Stop(mmsmo.Finish, 10*time.Second)
		handled = d.Event.GetMmsMo().GetTrackingId()
		return mmsmo.Ack()
	})
	if err != nil || handled != "message-1" {
		t.Fatalf("it handled %q, and ended with %v", handled, err)
	}
}
