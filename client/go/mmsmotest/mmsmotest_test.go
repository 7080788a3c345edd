package mmsmotest_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmotest"
)

func TestAGatewayForATest(t *testing.T) {
	gateway := mmsmotest.Start(t)
	gateway.CreateSubscription("billing")
	cursor := gateway.Post("message <1> & more")

	subscriber, err := mmsmo.NewSubscriber(mmsmo.Options{Target: gateway.Target})
	if err != nil {
		t.Fatal(err)
	}
	err = subscriber.Run(context.Background(), "billing", func(_ context.Context, d *mmsmo.Delivery) mmsmo.Verdict {
		if d.Event.GetCursor() != cursor || d.Event.GetMmsMo().GetTrackingId() != "message <1> & more" {
			t.Errorf("it is another: %v", d.Event)
		}
		subscriber.Stop(mmsmo.Finish, 10*time.Second)
		return mmsmo.Ack()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestItEndsWithItsTest(t *testing.T) {
	var url string
	t.Run("a test", func(t *testing.T) {
		url = mmsmotest.Start(t, mmsmotest.Binary(os.Getenv("MMSMO_GATEWAY"))).AdminURL + "/readyz"
		answer, err := http.Get(url)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		_ = answer.Body.Close()
	})
	http.DefaultClient.CloseIdleConnections()
	if answer, err := http.Get(url); err == nil {
		_ = answer.Body.Close()
		t.Error("it still serves")
	}
}

func TestAGatewayTakesFlagsAndCanBeKilled(t *testing.T) {
	gateway := mmsmotest.Start(t, mmsmotest.Flags("--http-path", "/other"))
	answer, err := http.Post(gateway.URL, "application/xml", strings.NewReader("<postback/>"))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("it answers %s", answer.Status)
	}
	gateway.Kill()
	if _, err := http.Get(gateway.AdminURL); err == nil {
		t.Error("it still serves")
	}
}
