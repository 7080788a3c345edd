package mmsmo

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// StopMode says what becomes of what has arrived and was not begun.
type StopMode int

const (
	// Finish: it is handled.
	Finish StopMode = iota
	// Release: it goes back to the gateway, which delivers it to others at once.
	Release
)

// Handler is called for each delivery, from Concurrency goroutines. Its context ends when its time
// is up, or when the stop of the run takes longer than it may; it has the values of Run's context. A
// panic is a Retry, logged and counted. An event can come more than once: whoever has a lease that
// ended shares it with another.
type Handler func(ctx context.Context, d *Delivery) Verdict

// EventHandler is called for each event, in order, from one goroutine. Its error ends Follow.
type EventHandler func(ctx context.Context, event *mmsmov1.Event) error

// Stats are those of a run so far.
type Stats struct {
	// Held is how many deliveries wait here or are in a handler.
	Held int
	// FailedAcks is how often AckFailed was called, or would have been.
	FailedAcks int64
	// FailedHandlers is how many panicked, said Failed, or were over their time.
	FailedHandlers int64
}

// Subscriber receives events. Run or Follow is called, once; everything else is for any goroutine.
type Subscriber struct {
	options  Options
	counters counters

	mu      sync.Mutex
	used    bool
	stopped bool
	run     *subscriptionRun // one of these two, while and after it runs
	follow  *followRun
}

type counters struct{ failedAcks, failedHandlers atomic.Int64 }

// NewSubscriber makes one. The error names the option that is wrong.
func NewSubscriber(options Options) (*Subscriber, error) {
	options, err := options.filled()
	if err != nil {
		return nil, err
	}
	return &Subscriber{options: options}, nil
}

// Run calls handler for each delivery of a named subscription, and tells the gateway what it
// returns, in batches, again until that is answered. Leases are prolonged while a delivery waits
// here or is handled. Streams are replaced, each resuming the one before, so that a lost connection
// costs no delivery and no attempt.
//
// The end of ctx is Stop(Release, Options.StopTimeout). Run returns nil after a stop,
// ErrHandlersRunning where handlers ignored the end of their contexts, else why it makes no sense to
// try again, as a status of gRPC (see status.Code): InvalidArgument, NotFound, PermissionDenied,
// Unimplemented, FailedPrecondition, OutOfRange, or Unauthenticated, unless there is another token
// by then.
func (s *Subscriber) Run(ctx context.Context, subscription string, handler Handler) error {
	run, err := newSubscriptionRun(ctx, &s.options, subscription, handler, &s.counters)
	if err != nil {
		return err
	}
	isStopped, err := s.begin(func() { s.run = run })
	if isStopped || err != nil {
		run.abandon()
		return err
	}
	return run.run(ctx)
}

// Follow calls handler for each event from start on. A stream that is replaced begins after the last
// event that was handed over. The end of ctx is Stop(Release, Options.StopTimeout). Follow returns
// nil after a stop, what the handler returned (a *PanicError where it panicked) with Cursor before
// its event, a *CursorExpiredError where the position is no longer retained, or a status as Run.
func (s *Subscriber) Follow(ctx context.Context, start *mmsmov1.StartPosition, handler EventHandler) error {
	follow := newFollowRun(ctx, &s.options, start, handler)
	isStopped, err := s.begin(func() { s.follow = follow })
	if isStopped || err != nil {
		follow.endHard()
		return err
	}
	return follow.run(ctx)
}

func (s *Subscriber) begin(set func()) (isStopped bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used {
		return false, ErrUsed
	}
	s.used = true
	if !s.stopped {
		set()
	}
	return s.stopped, nil
}

// Stop lets the run end, and returns at once: nothing more begins that has not arrived, handlers
// finish, what they say is acknowledged, and nothing is delivered twice because of it. After
// timeout what was not begun is released, and the contexts of handlers end; Run returns at the
// latest two seconds later. Stop can be called again, to release what Finish would handle, or for an
// earlier end. Before a run, the run ends as it begins.
func (s *Subscriber) Stop(mode StopMode, timeout time.Duration) {
	s.mu.Lock()
	s.stopped = true
	run, follow := s.run, s.follow
	s.mu.Unlock()
	if run != nil {
		run.stop(mode, timeout)
	}
	if follow != nil {
		follow.stop(mode, timeout)
	}
}

// Cursor is the position of what Follow has handed over: AfterCursor(Cursor()) goes on from here.
// Empty before the first frame, and with a named subscription.
func (s *Subscriber) Cursor() string {
	s.mu.Lock()
	follow := s.follow
	s.mu.Unlock()
	if follow == nil {
		return ""
	}
	return follow.cursor()
}

// Stats tells how the run is doing.
func (s *Subscriber) Stats() Stats {
	stats := Stats{FailedAcks: s.counters.failedAcks.Load(), FailedHandlers: s.counters.failedHandlers.Load()}
	s.mu.Lock()
	run := s.run
	s.mu.Unlock()
	if run != nil {
		stats.Held = run.deliveries.held()
	}
	return stats
}
