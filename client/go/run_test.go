package mmsmo_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmotest"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

func hasCode(want codes.Code) func(error) bool {
	return func(err error) bool { return status.Code(err) == want }
}

func backlog(t *testing.T, gateway *mmsmotest.Gateway) *mmsmov1.Subscription {
	t.Helper()
	answer, err := mmsmov1.NewSubscriptionServiceClient(gateway.Dial()).GetSubscription(
		context.Background(), &mmsmov1.GetSubscriptionRequest{Name: "work"})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetSubscription()
}

// gate is what handlers wait at.
type gate struct {
	begun chan struct{} // holds one: that a handler waits
	open  chan struct{}
}

func newGate() gate { return gate{begun: make(chan struct{}, 1), open: make(chan struct{})} }

func (g gate) hold(context.Context, *mmsmo.Delivery) mmsmo.Verdict {
	select {
	case g.begun <- struct{}{}:
	default:
	}
	<-g.open
	return mmsmo.Ack()
}

func TestVerdictsBecomeWhatTheySay(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work", func(s *mmsmov1.Subscription) {
		s.RetryPolicy = &mmsmov1.RetryPolicy{
			MinimumBackoff: durationpb.New(10 * time.Millisecond), MaximumBackoff: durationpb.New(10 * time.Millisecond),
		}
	})
	for _, id := range []string{"acked", "retried", "delayed", "dead"} {
		gateway.Post(id)
	}
	var mu sync.Mutex
	began := map[string][]time.Time{}
	c := consume(t, mmsmo.Options{Target: gateway.Target, Concurrency: 4}, func(_ context.Context, d *mmsmo.Delivery) mmsmo.Verdict {
		mu.Lock()
		defer mu.Unlock()
		id := idOf(d)
		began[id] = append(began[id], time.Now())
		switch {
		case d.Attempt > 1 || id == "acked":
			return mmsmo.Ack()
		case id == "retried":
			return mmsmo.Retry()
		case id == "delayed":
			return mmsmo.RetryAfter(300 * time.Millisecond)
		default:
			return mmsmo.DeadLetter("it is enough")
		}
	})
	until(t, "all are done with", func() bool { return backlog(t, gateway).GetBacklogCount() == 0 && c.handled() == 4 })
	mu.Lock()
	defer mu.Unlock()
	if len(began["acked"]) != 1 || len(began["retried"]) != 2 || len(began["delayed"]) != 2 || len(began["dead"]) != 1 {
		t.Fatalf("handled: %v", began)
	}
	if wait := began["delayed"][1].Sub(began["delayed"][0]); wait < 300*time.Millisecond {
		t.Errorf("it came again after %v", wait)
	}
	letters, err := mmsmov1.NewSubscriptionServiceClient(gateway.Dial()).ListDeadLetters(
		context.Background(), &mmsmov1.ListDeadLettersRequest{Subscription: "work"})
	if err != nil || len(letters.GetDeadLetters()) != 1 || letters.GetDeadLetters()[0].GetReason() != "it is enough" {
		t.Errorf("dead letters: %v, %v", letters, err)
	}
}

func TestResumesOverACutConnection(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	ids := post(t, gateway, 100)
	way := newProxy(t, gateway.Target)
	held := newGate()
	c := consume(t, mmsmo.Options{Target: way.address(), MaxBatchSize: 10}, held.hold)
	for cuts := 1; cuts <= 3; cuts++ {
		until(t, "it has connected", func() bool { return c.see(func() bool { return c.connected == cuts }) })
		way.cut()
	}
	close(held.open)
	until(t, "all are acknowledged", func() bool { return backlog(t, gateway).GetBacklogCount() == 0 })
	c.subscriber.Stop(mmsmo.Finish, patience)
	c.wantEnd(isNil)
	wantOnceEach(t, ids, c)
	for id, attempts := range c.attempts {
		if attempts[0] != 1 {
			t.Errorf("%s: attempt %d", id, attempts[0])
		}
	}
}

// stopWith1000InHand stops a consumer whose handler holds, with 1,000 in hand and more on their way.
func stopWith1000InHand(t *testing.T, stop func(*consumer, gate)) (ids []string, gateway *mmsmotest.Gateway, c *consumer) {
	t.Helper()
	gateway = newGateway(t)
	gateway.CreateSubscription("work", func(s *mmsmov1.Subscription) { s.MaxAttempts = 1 })
	ids = post(t, gateway, 3000)
	held := newGate()
	c = consume(t, mmsmo.Options{Target: gateway.Target, MaxBatchSize: 10}, held.hold)
	<-held.begun
	until(t, "1,000 are in hand", func() bool { return c.subscriber.Stats().Held >= 1000 })
	stop(c, held)
	return ids, gateway, c
}

func TestStopFinishHandlesWhatHasArrived(t *testing.T) {
	var inHand int
	ids, gateway, first := stopWith1000InHand(t, func(c *consumer, held gate) {
		c.subscriber.Stop(mmsmo.Finish, patience)
		inHand = c.subscriber.Stats().Held
		close(held.open)
	})
	first.wantEnd(isNil)
	if first.handled() != inHand || inHand < 1000 {
		t.Errorf("%d were handled of %d in hand", first.handled(), inHand)
	}
	if subscription := backlog(t, gateway); subscription.GetStreamCount() != 0 {
		t.Errorf("%d streams are left", subscription.GetStreamCount())
	}
	second := consume(t, mmsmo.Options{Target: gateway.Target}, nil)
	until(t, "the rest is done", func() bool { return backlog(t, gateway).GetBacklogCount() == 0 })
	second.subscriber.Stop(mmsmo.Finish, patience)
	second.wantEnd(isNil)
	wantOnceEach(t, ids, first, second)
}

func TestStopReleaseGivesTheRestToOthersAtOnce(t *testing.T) {
	var second *consumer
	var stopped time.Time
	ids, gateway, first := stopWith1000InHand(t, func(c *consumer, held gate) {
		second = consume(t, mmsmo.Options{Target: c.target, MaxOutstandingMessages: 3000}, nil)
		until(t, "the other has caught up", func() bool { return second.handled() > 0 || c.subscriber.Stats().Held >= 2900 })
		stopped = time.Now()
		c.subscriber.Stop(mmsmo.Release, patience)
		until(t, "what was not begun is handled by the other", func() bool { return second.handled() == 2999 })
		t.Logf("the other had all after %v", time.Since(stopped))
		if took := time.Since(stopped); took > time.Second {
			t.Errorf("the other had all after %v", took)
		}
		select {
		case <-c.ended:
			t.Error("the run ended before its handler")
		default:
		}
		close(held.open)
	})
	first.wantEnd(isNil)
	second.subscriber.Stop(mmsmo.Finish, patience)
	second.wantEnd(isNil)
	wantOnceEach(t, ids, first, second)
	if subscription := backlog(t, gateway); subscription.GetBacklogCount() != 0 || subscription.GetDeadLetterCount() != 0 {
		t.Errorf("%v", subscription)
	}
}

func TestStopLeavesTheStreamThatReplacesAnother(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	ids := post(t, gateway, 500)
	way := newProxy(t, gateway.Target)
	held := newGate()
	first := consume(t, mmsmo.Options{Target: way.address(), MaxBatchSize: 10, MaxOutstandingMessages: 100}, held.hold)
	until(t, "some are in hand", func() bool { return first.subscriber.Stats().Held == 100 })
	first.subscriber.Stop(mmsmo.Finish, patience)
	way.cut()
	until(t, "it has connected again", func() bool { return first.see(func() bool { return first.connected == 2 }) })
	gateway.Post("later")
	second := consume(t, mmsmo.Options{Target: gateway.Target}, nil)
	until(t, "the other has the rest", func() bool { return second.handled() == 401 })
	close(held.open)
	first.wantEnd(isNil)
	second.subscriber.Stop(mmsmo.Finish, patience)
	second.wantEnd(isNil)
	wantOnceEach(t, append(ids, "later"), first, second)
	if first.handled() != 100 {
		t.Errorf("it handled %d", first.handled())
	}
}

func TestTheEndOfTheContextReleases(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	ids := post(t, gateway, 20)
	ctx, cancel := context.WithCancel(context.Background())
	c := newConsumer(t, mmsmo.Options{Target: gateway.Target})
	var handled atomic.Int64
	err := c.subscriber.Run(ctx, "work", func(ctx context.Context, _ *mmsmo.Delivery) mmsmo.Verdict {
		until(t, "all have arrived", func() bool { return c.subscriber.Stats().Held == len(ids) })
		cancel()
		until(t, "the rest is released", func() bool { return c.subscriber.Stats().Held == 1 })
		if ctx.Err() != nil {
			t.Error("the handler is told to end, although it has time")
		}
		handled.Add(1)
		return mmsmo.Ack()
	})
	if err != nil || handled.Load() != 1 {
		t.Errorf("it handled %d and ended with %v", handled.Load(), err)
	}
	if left := backlog(t, gateway).GetBacklogCount(); left != 19 {
		t.Errorf("%d are left", left)
	}
}

func TestAStopThatIsOverItsTimeTellsTheHandlers(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	post(t, gateway, 20)
	told := make(chan struct{})
	c := consume(t, mmsmo.Options{Target: gateway.Target}, func(ctx context.Context, _ *mmsmo.Delivery) mmsmo.Verdict {
		<-ctx.Done()
		close(told)
		return mmsmo.Ack()
	})
	until(t, "all have arrived", func() bool { return c.subscriber.Stats().Held == 20 })
	c.subscriber.Stop(mmsmo.Finish, 50*time.Millisecond)
	<-told
	c.wantEnd(isNil)
	if left := backlog(t, gateway).GetBacklogCount(); left != 19 {
		t.Errorf("%d are left", left)
	}
	other := consume(t, mmsmo.Options{Target: gateway.Target}, nil)
	until(t, "the others are handled at once", func() bool { return other.handled() == 19 })
}

func TestAHandlerThatHeedsNothingHoldsNoStopUp(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	gateway.Post("stuck")
	held := newGate()
	c := consume(t, mmsmo.Options{Target: gateway.Target}, held.hold)
	<-held.begun
	c.subscriber.Stop(mmsmo.Finish, time.Hour)
	c.subscriber.Stop(mmsmo.Release, 0)
	c.wantEnd(func(err error) bool { return errors.Is(err, mmsmo.ErrHandlersRunning) })
	close(held.open)
}

func TestABlackHoleIsNoticedAndLeft(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	ids := post(t, gateway, 100)
	way := newProxy(t, gateway.Target)
	held := newGate()
	const heartbeat = 200 * time.Millisecond
	c := consume(t, mmsmo.Options{Target: way.address(), HeartbeatInterval: heartbeat}, held.hold)
	until(t, "all have arrived", func() bool { return c.subscriber.Stats().Held == 100 })
	way.digHole()
	fell := time.Now()
	until(t, "it is noticed", func() bool { return c.see(func() bool { return len(c.disconnected) > 0 }) })
	if took := time.Since(fell); took > 3*heartbeat+100*time.Millisecond {
		t.Errorf("it was noticed after %v", took)
	}
	if why := c.disconnected[0]; status.Code(why) != codes.DeadlineExceeded {
		t.Errorf("it was taken for %v", why)
	}
	fill := way.openWay()
	defer fill()
	close(held.open)
	until(t, "all are acknowledged over another connection", func() bool { return backlog(t, gateway).GetBacklogCount() == 0 })
	c.subscriber.Stop(mmsmo.Finish, patience)
	c.wantEnd(isNil)
	wantOnceEach(t, ids, c)
}

func TestABlackHoleAtTheBeginningIsNoticed(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	gateway.Post("late")
	way := newProxy(t, gateway.Target)
	way.digHole()
	c := consume(t, mmsmo.Options{Target: way.address(), ConnectTimeout: 100 * time.Millisecond}, nil)
	until(t, "it is noticed twice", func() bool { return c.see(func() bool { return len(c.disconnected) > 1 }) })
	fill := way.openWay()
	defer fill()
	until(t, "it is handled", func() bool { return c.handled() == 1 })
}

func TestEachAttemptIsAnAttempt(t *testing.T) {
	wantNoLeaks(t)
	closed := newProxy(t, "127.0.0.1:1") // takes connections and closes them
	c := consume(t, mmsmo.Options{Target: closed.address(), MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond}, nil)
	const failures = 20
	until(t, "it has failed often", func() bool { return c.see(func() bool { return len(c.disconnected) >= failures }) })
	if attempts := closed.taken.Load(); attempts < failures {
		t.Errorf("it connected %d times for %d failures", attempts, failures)
	}
}

func TestStopEndsSoonWithoutAGateway(t *testing.T) {
	wantNoLeaks(t)
	refused := consume(t, mmsmo.Options{Target: "127.0.0.1:1"}, nil)
	until(t, "it was refused", func() bool { return refused.see(func() bool { return len(refused.disconnected) > 0 }) })
	somebody := newProxy(t, newProxy(t, "127.0.0.1:1").address())
	somebody.digHole()
	ignored := consume(t, mmsmo.Options{Target: somebody.address()}, nil)
	until(t, "it waits for an answer", func() bool { return somebody.count() > 0 })
	for _, c := range []*consumer{refused, ignored} {
		began := time.Now()
		c.subscriber.Stop(mmsmo.Finish, patience)
		c.wantEnd(isNil)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	}
}

func TestAHandlerHasNoMoreThanItsTime(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work", func(s *mmsmov1.Subscription) {
		s.RetryPolicy = &mmsmov1.RetryPolicy{MinimumBackoff: durationpb.New(10 * time.Millisecond)}
	})
	const heeding = 20
	for i := range heeding {
		gateway.Post(fmt.Sprint("heeds", i))
	}
	gateway.Post("ignores")
	var again atomic.Int64
	c := consume(t, mmsmo.Options{Target: gateway.Target, Concurrency: heeding + 2, MaxHandlerTime: 50 * time.Millisecond},
		func(ctx context.Context, d *mmsmo.Delivery) mmsmo.Verdict {
			if d.Attempt > 1 {
				again.Add(1)
				return mmsmo.Ack()
			}
			<-ctx.Done()
			if idOf(d) == "ignores" {
				until(t, "it comes again meanwhile", func() bool { return again.Load() == heeding+1 })
			}
			return mmsmo.DeadLetter("this counts no more")
		})
	until(t, "all are acknowledged", func() bool { return backlog(t, gateway).GetBacklogCount() == 0 })
	if dead := backlog(t, gateway).GetDeadLetterCount(); dead != 0 {
		t.Errorf("there are %d dead letters", dead)
	}
	if stats := c.subscriber.Stats(); stats.FailedHandlers != heeding+1 || stats.FailedAcks != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestAHandlerThatFailsIsARetry(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work", func(s *mmsmov1.Subscription) {
		s.RetryPolicy = &mmsmov1.RetryPolicy{MinimumBackoff: durationpb.New(10 * time.Millisecond)}
	})
	for _, id := range []string{"panics", "fails", "exits"} {
		gateway.Post(id)
	}
	c := consume(t, mmsmo.Options{Target: gateway.Target}, func(_ context.Context, d *mmsmo.Delivery) mmsmo.Verdict {
		switch {
		case d.Attempt > 1:
			return mmsmo.Ack()
		case idOf(d) == "panics":
			panic("no")
		case idOf(d) == "exits":
			runtime.Goexit()
		}
		return mmsmo.Failed(os.ErrInvalid)
	})
	until(t, "all are acknowledged", func() bool { return backlog(t, gateway).GetBacklogCount() == 0 })
	c.subscriber.Stop(mmsmo.Finish, patience)
	c.wantEnd(isNil)
	if failed := c.subscriber.Stats().FailedHandlers; failed != 3 {
		t.Errorf("%d handlers failed", failed)
	}
}

func TestLeasesAreProlonged(t *testing.T) {
	gateway := newGateway(t)
	const deadline = time.Second
	gateway.CreateSubscription("work", func(s *mmsmov1.Subscription) { s.AckDeadline = durationpb.New(deadline) })
	ids := post(t, gateway, 3)
	c := consume(t, mmsmo.Options{Target: gateway.Target}, func(context.Context, *mmsmo.Delivery) mmsmo.Verdict {
		time.Sleep(deadline * 3 / 4) // so that the last would have waited for twice its lease
		return mmsmo.Ack()
	})
	until(t, "all are acknowledged", func() bool { return backlog(t, gateway).GetBacklogCount() == 0 })
	wantOnceEach(t, ids, c)
}

func TestAnAcknowledgementWithoutEffectIsTold(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	gateway.Post("moved")
	held := newGate()
	c := consume(t, mmsmo.Options{Target: gateway.Target}, held.hold)
	<-held.begun
	if _, err := mmsmov1.NewSubscriptionServiceClient(gateway.Dial()).DeleteSubscription(
		context.Background(), &mmsmov1.DeleteSubscriptionRequest{Name: "work"}); err != nil {
		t.Fatal(err)
	}
	close(held.open)
	c.wantEnd(hasCode(codes.NotFound))
	if failed := c.subscriber.Stats().FailedAcks; failed != 1 || len(c.failedAcks) != 1 {
		t.Errorf("%d acknowledgements failed: %v", failed, c.failedAcks)
	}
}

func TestAnUnknownSubscriptionEndsTheRun(t *testing.T) {
	gateway := newGateway(t)
	consume(t, mmsmo.Options{Target: gateway.Target}, nil).wantEnd(hasCode(codes.NotFound))
}

func TestASubscriberRunsOnceAndNotAfterAStop(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	c := newConsumer(t, mmsmo.Options{Target: gateway.Target})
	c.subscriber.Stop(mmsmo.Finish, time.Hour)
	if err := c.subscriber.Run(context.Background(), "work", nil); err != nil {
		t.Error(err)
	}
	if err := c.subscriber.Run(context.Background(), "work", nil); !errors.Is(err, mmsmo.ErrUsed) {
		t.Error(err)
	}
	if err := c.subscriber.Follow(context.Background(), mmsmo.FromEarliest(), nil); !errors.Is(err, mmsmo.ErrUsed) {
		t.Error(err)
	}
}

func TestALargeEventArrives(t *testing.T) {
	gateway := newGateway(t, mmsmotest.Flags("--max-body-bytes", "1MiB"))
	gateway.CreateSubscription("work")
	size := 1000 << 10
	body := strings.Replace(string(mmsmotest.Sample("large")), "<content>", "<note>"+strings.Repeat("x", size)+"</note><content>", 1)
	gateway.PostBody([]byte(body))
	var got atomic.Int64
	consume(t, mmsmo.Options{Target: gateway.Target}, func(_ context.Context, d *mmsmo.Delivery) mmsmo.Verdict {
		got.Store(int64(len(d.Event.GetMmsMo().GetExtra()["note"])))
		return mmsmo.Ack()
	})
	until(t, "it is acknowledged", func() bool { return backlog(t, gateway).GetBacklogCount() == 0 })
	if got.Load() != int64(size) {
		t.Errorf("it has %d bytes", got.Load())
	}
}

func TestSignalsStop(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	post(t, gateway, 10)
	held := newGate()
	c := consume(t, mmsmo.Options{Target: gateway.Target}, held.hold)
	cancel := mmsmo.StopOnSignals(c.subscriber, patience)
	defer cancel()
	<-held.begun
	until(t, "all have arrived", func() bool { return c.subscriber.Stats().Held == 10 })
	signalSelf := func(s syscall.Signal) {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	signalSelf(syscall.SIGTERM)
	gateway.Post("later")
	other := consume(t, mmsmo.Options{Target: gateway.Target}, nil)
	until(t, "another has what comes", func() bool { return other.handled() == 1 })
	if held := c.subscriber.Stats().Held; held != 10 {
		t.Errorf("it has %d", held)
	}
	signalSelf(syscall.SIGINT)
	until(t, "another has what was released", func() bool { return other.handled() == 10 })
	close(held.open)
	c.wantEnd(isNil)
	if c.handled() != 1 {
		t.Errorf("it handled %d", c.handled())
	}
}

func TestHandlingIsTold(t *testing.T) {
	gateway := newGateway(t)
	gateway.CreateSubscription("work")
	gateway.Post("traced")
	type key struct{}
	var mu sync.Mutex
	var told []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, what)
	}
	subscriber, err := mmsmo.NewSubscriber(mmsmo.Options{Target: gateway.Target, Logger: slog.New(slog.DiscardHandler), Hooks: mmsmo.Hooks{
		CaughtUp: func() { note("caught up") },
		Handling: func(ctx context.Context, d *mmsmo.Delivery) (context.Context, func(mmsmo.Verdict)) {
			note("began " + idOf(d))
			return context.WithValue(ctx, key{}, "span"), func(v mmsmo.Verdict) { note("ended " + v.String()) }
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = subscriber.Run(context.Background(), "work", func(ctx context.Context, _ *mmsmo.Delivery) mmsmo.Verdict {
		if ctx.Value(key{}) != "span" {
			t.Error("the handler has another context")
		}
		until(t, "it has caught up", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(told, "caught up")
		})
		subscriber.Stop(mmsmo.Finish, patience)
		panic("no")
	})
	slices.Sort(told)
	if err != nil || !slices.Equal(told, []string{"began traced", "caught up", "ended retry"}) {
		t.Errorf("%v, %v", told, err)
	}
}
