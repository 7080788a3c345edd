package mmsmo_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// follow runs c from start until handle says to stop, and returns the tracking ids that it saw.
func follow(t *testing.T, c *consumer, start *mmsmov1.StartPosition, handle func(n int) error) ([]string, error) {
	t.Helper()
	var seen []string
	err := c.subscriber.Follow(context.Background(), start, func(_ context.Context, event *mmsmov1.Event) error {
		seen = append(seen, event.GetMmsMo().GetTrackingId())
		return handle(len(seen))
	})
	return seen, err
}

func TestFollowGoesOnOverACutConnection(t *testing.T) {
	gateway := newGateway(t)
	ids := make([]string, 0, 30)
	for i := range 30 {
		ids = append(ids, string(rune('A'+i)))
		gateway.Post(ids[i])
	}
	way := newProxy(t, gateway.Target)
	c := newConsumer(t, mmsmo.Options{Target: way.address(), MaxBatchSize: 3})
	seen, err := follow(t, c, mmsmo.FromEarliest(), func(n int) error {
		if n == 10 {
			way.cut()
			gateway.Post("after the cut")
		}
		if n == len(ids)+1 {
			c.subscriber.Stop(mmsmo.Finish, patience)
		}
		return nil
	})
	if err != nil || !slices.Equal(seen, append(ids, "after the cut")) {
		t.Errorf("saw %v, ended with %v", seen, err)
	}
	if c.connected < 2 {
		t.Errorf("it connected %d times", c.connected)
	}
	gateway.Post("next")
	again := newConsumer(t, mmsmo.Options{Target: gateway.Target})
	seen, err = follow(t, again, mmsmo.AfterCursor(c.subscriber.Cursor()), func(int) error {
		again.subscriber.Stop(mmsmo.Finish, patience)
		return nil
	})
	if err != nil || !slices.Equal(seen, []string{"next"}) {
		t.Errorf("saw %v, ended with %v", seen, err)
	}
}

func TestFollowEndsWithItsHandlersFailure(t *testing.T) {
	gateway := newGateway(t)
	first := gateway.Post("good")
	gateway.Post("bad")
	c := newConsumer(t, mmsmo.Options{Target: gateway.Target})
	_, err := follow(t, c, mmsmo.FromEarliest(), func(n int) error {
		if n == 2 {
			return os.ErrInvalid
		}
		return nil
	})
	if !errors.Is(err, os.ErrInvalid) || c.subscriber.Cursor() != first {
		t.Errorf("ended with %v at %q, want %q", err, c.subscriber.Cursor(), first)
	}
	c = newConsumer(t, mmsmo.Options{Target: gateway.Target})
	_, err = follow(t, c, mmsmo.AfterCursor(first), func(int) error { panic("no") })
	var panicked *mmsmo.PanicError
	if !errors.As(err, &panicked) || panicked.Value != "no" || c.subscriber.Cursor() != first {
		t.Errorf("ended with %v at %q", err, c.subscriber.Cursor())
	}
}

func TestFollowHasItsFilterAndPassesWhatItKeepsOut(t *testing.T) {
	gateway := newGateway(t)
	gateway.Post("a")
	last := gateway.Post("b")
	c := newConsumer(t, mmsmo.Options{Target: gateway.Target, Filter: &mmsmov1.Filter{Recipients: []string{"1"}}})
	ended := make(chan error)
	go func() {
		_, err := follow(t, c, mmsmo.FromEarliest(), func(int) error { return errors.New("it is let through") })
		ended <- err
	}()
	until(t, "it is at the end", func() bool { return c.subscriber.Cursor() == last || len(ended) > 0 })
	c.subscriber.Stop(mmsmo.Release, patience)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestFollowIsToldOfAnExpiredCursor(t *testing.T) {
	gateway, other := newGateway(t), newGateway(t)
	gateway.Post("here")
	foreign := other.Post("elsewhere")
	c := newConsumer(t, mmsmo.Options{Target: gateway.Target})
	_, err := follow(t, c, mmsmo.AfterCursor(foreign), func(int) error { return nil })
	var expired *mmsmo.CursorExpiredError
	if !errors.As(err, &expired) || expired.EarliestCursor == "" {
		t.Fatalf("ended with %v", err)
	}
	c = newConsumer(t, mmsmo.Options{Target: gateway.Target})
	seen, err := follow(t, c, mmsmo.AfterCursor(expired.EarliestCursor), func(int) error {
		c.subscriber.Stop(mmsmo.Finish, patience)
		return nil
	})
	if err != nil || !slices.Equal(seen, []string{"here"}) {
		t.Errorf("saw %v, ended with %v", seen, err)
	}
	c = newConsumer(t, mmsmo.Options{Target: gateway.Target})
	_, err = follow(t, c, mmsmo.AfterCursor("no cursor"), func(int) error { return nil })
	if !hasCode(codes.InvalidArgument)(err) {
		t.Errorf("ended with %v", err)
	}
}

func TestFollowsHandlerMayTakeItsTimeAndFinish(t *testing.T) {
	gateway := newGateway(t)
	gateway.Post("slow")
	c := newConsumer(t, mmsmo.Options{Target: gateway.Target, HeartbeatInterval: 100 * time.Millisecond, MaxBatchSize: 1})
	ctx, cancel := context.WithCancel(context.Background())
	err := c.subscriber.Follow(ctx, mmsmo.FromEarliest(), func(handling context.Context, event *mmsmov1.Event) error {
		if event.GetMmsMo().GetTrackingId() == "slow" {
			time.Sleep(500 * time.Millisecond) // for which nobody is silent
			gateway.Post("told")
			return nil
		}
		cancel()
		time.Sleep(10 * time.Millisecond)
		if handling.Err() != nil {
			t.Error("it is told to end, although it has time")
		}
		c.subscriber.Stop(mmsmo.Finish, 10*time.Millisecond)
		<-handling.Done()
		return nil
	})
	if err != nil || c.connected != 1 {
		t.Errorf("ended with %v after %d streams: %v", err, c.connected, c.disconnected)
	}
}
