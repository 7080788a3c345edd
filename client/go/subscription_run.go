package mmsmo

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mmsmo/mmsmo-gateway/client/go/internal/defaults"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

const resumeWindow = defaults.ResumeWindowMs * time.Millisecond

// How long handlers have to return once their contexts have ended, and what they said to be
// answered.
const windDown = 2 * time.Second

var (
	errTimeIsUp = errors.New("the handler is over its time")
	errExited   = errors.New("the handler ended its goroutine")
)

// subscriptionRun is one Subscriber.Run: from the stream to the handlers, and from what they say to
// the gateway.
type subscriptionRun struct {
	options      *Options
	subscription string
	handler      Handler
	counters     *counters
	conn         *connection
	deliveries   *deliveries
	acks         *acknowledger

	streaming  context.Context // of the stream loop
	endStreams context.CancelFunc
	handling   context.Context // of the handlers
	endHard    context.CancelFunc
	waiting    context.Context // of run, at the end
	giveUp     context.CancelFunc

	mu      sync.Mutex
	changed *sync.Cond
	// Of the stream that is read, or was read last: what the next one resumes.
	streamID string
	frames   int64 // that arrived of it
	opening  bool  // its successor, which may have begun
	leaving  bool  // later frames do not count
	leftID   string
	// What has not returned.
	handlers    int
	saysGoodbye bool
	loopDone    bool // with loopErr
	loopErr     error
	timers      []*time.Timer
}

func newSubscriptionRun(ctx context.Context, options *Options, subscription string, handler Handler,
	counters *counters,
) (*subscriptionRun, error) {
	conn, err := connect(options)
	if err != nil {
		return nil, err
	}
	r := &subscriptionRun{
		options: options, subscription: subscription, handler: handler, counters: counters,
		conn: conn, deliveries: newDeliveries(time.Now), handlers: options.Concurrency,
	}
	r.changed = sync.NewCond(&r.mu)
	r.acks = newAcknowledger(conn, subscription, r.deliveries.heldAckIDs, r.onAcksFailed)
	lasting := context.WithoutCancel(ctx)
	r.streaming, r.endStreams = context.WithCancel(lasting)
	r.handling, r.endHard = context.WithCancel(lasting)
	r.waiting, r.giveUp = context.WithCancel(lasting)
	return r, nil
}

// abandon ends what has not run.
func (r *subscriptionRun) abandon() {
	r.endStreams()
	r.endHard()
	r.giveUp()
	r.acks.close()
	r.conn.close()
}

// run is called once.
func (r *subscriptionRun) run(ctx context.Context) error {
	defer r.abandon()
	defer r.stopTimers()
	defer context.AfterFunc(ctx, func() { r.stop(Release, r.options.StopTimeout) })()
	go r.readStreams()
	for range r.options.Concurrency {
		go r.handleDeliveries()
	}
	haveReturned := r.await(r.waiting, func() bool { return r.handlers == 0 })
	r.releaseWaiting() // what was too doubtful to begin
	// The stream stays open until everything is answered, because its end would take the leases
	// away.
	r.acks.flush(r.waiting)
	r.await(r.waiting, r.hasLeft)
	r.endStreams()
	r.await(context.Background(), func() bool { return r.loopDone && !r.saysGoodbye })
	if r.loopErr == nil && !haveReturned {
		return ErrHandlersRunning
	}
	return r.loopErr
}

func (r *subscriptionRun) readStreams() {
	loop := streamLoop{options: r.options, conn: r.conn, sink: r}
	err := loop.run(r.streaming)
	r.stop(Release, r.options.StopTimeout)
	r.update(func() { r.loopDone, r.loopErr = true, err })
}

// stop can be called again; each is a step further.
func (r *subscriptionRun) stop(mode StopMode, timeout time.Duration) {
	r.beginLeaving()
	if mode == Release {
		r.releaseWaiting()
	}
	r.after(timeout, func() {
		r.releaseWaiting()
		r.endHard()
		r.after(windDown, r.giveUp)
	})
}

func (r *subscriptionRun) beginLeaving() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leaving {
		return
	}
	r.leaving, r.saysGoodbye = true, true
	r.deliveries.close()
	r.changed.Broadcast()
	go r.leaveStreams()
}

func (r *subscriptionRun) releaseWaiting() {
	r.acks.addAll(update{kind: kindRelease}, r.deliveries.drain())
}

// leaveStreams tells the gateway that nothing more is to come on the stream, nor on those that
// replace it.
func (r *subscriptionRun) leaveStreams() {
	defer r.update(func() { r.saysGoodbye = false })
	backoff := newBackoff(r.options)
	for {
		var id string
		var frames int64
		isThere := r.await(r.streaming, func() bool {
			id, frames = r.streamID, r.frames
			return id != r.leftID
		})
		if !isThere || r.streaming.Err() != nil {
			return
		}
		err := r.acks.leave(r.streaming, id, frames)
		if err == nil || isFinal(err) {
			r.update(func() { r.leftID = id })
			backoff.reset()
		} else {
			sleep(r.streaming, retryDelay(err)+backoff.next())
		}
	}
}

// hasLeft: nothing is on its way. A stream that is being opened may have begun, if there is a
// connection.
func (r *subscriptionRun) hasLeft() bool {
	return r.loopDone || r.leftID == r.streamID && !(r.opening && r.conn.isReady())
}

// nextRequest is a sink's.
func (r *subscriptionRun) nextRequest() *mmsmov1.SubscribeRequest {
	request := &mmsmov1.SubscribeRequest{
		Source:                 &mmsmov1.SubscribeRequest_Subscription{Subscription: r.subscription},
		MaxOutstandingMessages: int32(r.options.MaxOutstandingMessages),
		MaxOutstandingBytes:    r.options.MaxOutstandingBytes,
	}
	r.update(func() {
		r.opening = true
		if r.streamID != "" {
			request.ResumeStreamId, request.ReceivedFrames = r.streamID, r.frames
		}
	})
	return request
}

// onFrame is a sink's.
func (r *subscriptionRun) onFrame(frame *mmsmov1.SubscribeResponse) error {
	if started := frame.GetStarted(); started != nil {
		r.onStarted(started)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.leaving {
		r.frames++
		r.deliveries.push(frame.GetBatch().GetDeliveries())
	}
	return nil
}

func (r *subscriptionRun) onStarted(started *mmsmov1.Started) {
	r.update(func() {
		r.opening, r.streamID, r.frames = false, started.GetStreamId(), 1
	})
	if started.GetResumed() {
		r.deliveries.keep()
	} else {
		r.deliveries.drain()
	}
	r.acks.keepLeases(started.GetAckDeadline().AsDuration())
}

// onStreamEnd is a sink's. What waits here is still this program's, but for a short time only,
// unless the next stream resumes this one.
func (r *subscriptionRun) onStreamEnd() {
	r.update(func() { r.opening = false })
	r.deliveries.doubtAfter(resumeWindow)
}

func (r *subscriptionRun) handleDeliveries() {
	isDone := false
	defer func() {
		if !isDone { // a handler has ended its goroutine
			go r.handleDeliveries()
			return
		}
		r.update(func() { r.handlers-- })
	}()
	for d := r.deliveries.take(); d != nil; d = r.deliveries.take() {
		r.handleOne(d)
	}
	isDone = true
}

func (r *subscriptionRun) handleOne(d *Delivery) {
	verdict := Failed(errExited) // unless it returns
	defer func() { r.finish(d, verdict) }()
	verdict = r.handle(d)
}

// handle gives what the handler says within its time.
func (r *subscriptionRun) handle(d *Delivery) Verdict {
	if r.options.MaxHandlerTime <= 0 {
		return r.call(r.handling, d)
	}
	ctx, cancel := context.WithTimeout(r.handling, r.options.MaxHandlerTime)
	defer cancel()
	isOver := func() bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }
	// A handler that does not heed its context keeps its place, but not its delivery.
	defer context.AfterFunc(ctx, func() {
		if isOver() {
			r.finish(d, Failed(errTimeIsUp))
		}
	})()
	verdict := r.call(ctx, d)
	if isOver() {
		return Failed(errTimeIsUp)
	}
	return verdict
}

func (r *subscriptionRun) call(ctx context.Context, d *Delivery) (verdict Verdict) {
	if hook := r.options.Hooks.Handling; hook != nil {
		var done func(Verdict)
		if ctx, done = hook(ctx, d); done != nil {
			defer func() { done(verdict) }()
		}
	}
	defer func() {
		if value := recover(); value != nil {
			verdict = Failed(&PanicError{Value: value, Stack: debug.Stack()})
		}
	}()
	return r.handler(ctx, d)
}

// finish counts only once for a delivery.
func (r *subscriptionRun) finish(d *Delivery, verdict Verdict) {
	if !r.deliveries.finish(d) {
		return
	}
	if verdict.err != nil {
		r.onHandlerFailed(d, verdict.err)
	}
	r.acks.add(verdict.update(), d.AckID)
}

func (r *subscriptionRun) onHandlerFailed(d *Delivery, err error) {
	r.counters.failedHandlers.Add(1)
	attributes := []any{
		"subscription", r.subscription, "tracking_id", d.Event.GetMmsMo().GetTrackingId(), "attempt", d.Attempt,
		"why", err,
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		attributes = append(attributes, "stack", string(panicked.Stack))
	}
	r.options.Logger.Error("mmsmo: a handler failed; its event is delivered again", attributes...)
}

func (r *subscriptionRun) onAcksFailed(failed []failedUpdate) {
	r.counters.failedAcks.Add(int64(len(failed)))
	r.options.Logger.Warn("mmsmo: acknowledgements had no effect", "subscription", r.subscription,
		"count", len(failed), "first", failed[0].ackID, "why", failed[0].why)
	if hook := r.options.Hooks.AckFailed; hook != nil {
		for _, failure := range failed {
			hook(failure.ackID, failure.why)
		}
	}
}

// update changes what await waits for.
func (r *subscriptionRun) update(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	r.changed.Broadcast()
}

// await returns whether done, which is called with the lock held, came true before ctx ended.
func (r *subscriptionRun) await(ctx context.Context, done func() bool) bool {
	defer context.AfterFunc(ctx, func() { r.update(func() {}) })()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !done() {
		if ctx.Err() != nil {
			return false
		}
		r.changed.Wait()
	}
	return true
}

func (r *subscriptionRun) after(wait time.Duration, call func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timers = append(r.timers, time.AfterFunc(wait, call))
}

func (r *subscriptionRun) stopTimers() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, timer := range r.timers {
		timer.Stop()
	}
}
