package mmsmo

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/mmsmo/mmsmo-gateway/client/go/internal/defaults"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

const ackCallTimeout = defaults.AckCallTimeoutMs * time.Millisecond

// acknowledger tells the gateway what becomes of a subscription's deliveries, several calls at a
// time, and prolongs the leases of those that are held. For several goroutines.
type acknowledger struct {
	conn         *connection
	subscription string
	heldAckIDs   func() []string
	onFailed     func([]failedUpdate) // of one call; several at once

	ctx    context.Context // of its calls
	cancel context.CancelFunc
	done   sync.WaitGroup
	wake   chan struct{} // of the loop; holds one

	mu          sync.Mutex
	outbox      *outbox
	underWay    int
	idle        []chan struct{} // closed when there is nothing to tell
	ackDeadline time.Duration
	extendAt    time.Time // zero: never
}

func newAcknowledger(conn *connection, subscription string, heldAckIDs func() []string,
	onFailed func([]failedUpdate),
) *acknowledger {
	ctx, cancel := context.WithCancel(context.Background())
	a := &acknowledger{
		conn: conn, subscription: subscription, heldAckIDs: heldAckIDs, onFailed: onFailed,
		ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1),
		outbox: newOutbox(newBackoff(conn.options)),
	}
	a.done.Add(1)
	go a.loop()
	return a
}

// close gives up what is not answered.
func (a *acknowledger) close() {
	a.cancel()
	a.done.Wait()
}

// add: done soon, and tried again until it is answered.
func (a *acknowledger) add(u update, ackID string) {
	a.mu.Lock()
	isNearer := a.outbox.add(u, ackID, time.Now())
	a.mu.Unlock()
	if isNearer {
		a.kick()
	}
}

// addAll: done at once.
func (a *acknowledger) addAll(u update, ackIDs []string) {
	a.mu.Lock()
	a.outbox.addAll(u, ackIDs, time.Now())
	a.mu.Unlock()
	a.kick()
}

// keepLeases prolongs from now on what is held, three times in each ack deadline; 0: not.
func (a *acknowledger) keepLeases(ackDeadline time.Duration) {
	a.mu.Lock()
	a.ackDeadline = ackDeadline
	at := time.Now().Add(ackDeadline / defaults.ExtensionsPerDeadline)
	// A stream that is replaced often must not put it off for ever.
	if ackDeadline <= 0 {
		a.extendAt = time.Time{}
	} else if a.extendAt.IsZero() || at.Before(a.extendAt) {
		a.extendAt = at
	}
	a.mu.Unlock()
	a.kick()
}

// flush waits until everything is answered, or ctx ends. Updates no longer wait for others to share
// a call with.
func (a *acknowledger) flush(ctx context.Context) {
	idle := make(chan struct{})
	a.mu.Lock()
	a.outbox.hurry(time.Now())
	a.idle = append(a.idle, idle)
	a.mu.Unlock()
	a.kick()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

func (a *acknowledger) kick() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *acknowledger) loop() {
	defer a.done.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(a.sendWhatIsDue()))
		select {
		case <-a.wake:
		case <-timer.C:
		case <-a.ctx.Done():
			return
		}
	}
}

// sendWhatIsDue returns when it is to be called again, unless kicked before.
func (a *acknowledger) sendWhatIsDue() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if !a.extendAt.IsZero() && !now.Before(a.extendAt) {
		a.extendAt = now.Add(a.ackDeadline / defaults.ExtensionsPerDeadline)
		a.start(func() { a.prolongLeases(update{kind: kindExtend, duration: a.ackDeadline}) })
	}
	for a.underWay < defaults.MaxAcksUnderWay {
		call := a.outbox.take(now)
		if call == nil {
			break
		}
		a.underWay++
		a.start(func() { a.exchange(call) })
	}
	if a.underWay == 0 && a.outbox.empty() {
		for _, idle := range a.idle {
			close(idle)
		}
		a.idle = nil
	}
	return a.nextTurn(now)
}

func (a *acknowledger) nextTurn(now time.Time) time.Time {
	next := now.Add(time.Hour)
	if !a.extendAt.IsZero() && a.extendAt.Before(next) {
		next = a.extendAt
	}
	due, isAny := a.outbox.due()
	if isAny && a.underWay < defaults.MaxAcksUnderWay && due.Before(next) {
		next = due
	}
	return next
}

func (a *acknowledger) start(call func()) {
	a.done.Add(1)
	go func() {
		defer a.done.Done()
		call()
	}()
}

// exchange makes a call, and sees to what it was answered.
func (a *acknowledger) exchange(call *updateCall) {
	failures, err := a.send(call)
	a.mu.Lock()
	failed := a.outbox.onAnswer(call, err, failures, time.Now())
	a.mu.Unlock()
	if len(failed) > 0 { // before flush can return
		a.onFailed(failed)
	}
	a.mu.Lock()
	a.underWay--
	a.mu.Unlock()
	a.kick()
}

// prolongLeases is beside the limit of calls under way: leases do not wait until a slow gateway has
// answered. Nor is it tried again: the next round prolongs whatever is still here.
func (a *acknowledger) prolongLeases(u update) {
	for held := a.heldAckIDs(); len(held) > 0; {
		n := min(len(held), defaults.MaxAckIds)
		_, _ = a.send(&updateCall{update: u, ackIDs: held[:n]})
		held = held[n:]
	}
}

func (a *acknowledger) send(call *updateCall) ([]*mmsmov1.AckFailure, error) {
	ctx, cancel := context.WithTimeout(a.ctx, ackCallTimeout)
	defer cancel()
	token := a.conn.token(ctx)
	failures, err := a.sendOnce(ctx, call)
	if status.Code(err) == codes.Unauthenticated && a.conn.token(ctx) != token {
		return nil, status.Error(codes.Unavailable, "there is another token now")
	}
	return failures, err
}

func (a *acknowledger) sendOnce(ctx context.Context, call *updateCall) ([]*mmsmov1.AckFailure, error) {
	if call.update.kind == kindAck {
		answer, err := a.conn.stub().Acknowledge(ctx, &mmsmov1.AcknowledgeRequest{
			Subscription: a.subscription,
			AckIds:       call.ackIDs,
		})
		return answer.GetFailures(), err
	}
	request := modificationOf(call.update)
	request.Subscription = a.subscription
	request.AckIds = call.ackIDs
	answer, err := a.conn.stub().ModifyAckDeadline(ctx, request)
	return answer.GetFailures(), err
}

// leave makes one call that says that nothing more is to come on a stream.
func (a *acknowledger) leave(ctx context.Context, streamID string, receivedFrames int64) error {
	ctx, cancel := context.WithTimeout(ctx, ackCallTimeout)
	defer cancel()
	request := modificationOf(update{kind: kindRelease})
	request.Subscription = a.subscription
	request.StreamId = streamID
	request.ReceivedFrames = receivedFrames
	_, err := a.conn.stub().ModifyAckDeadline(ctx, request)
	return err
}

// modificationOf is for every update but an ack, which has a method of its own.
func modificationOf(u update) *mmsmov1.ModifyAckDeadlineRequest {
	request := &mmsmov1.ModifyAckDeadlineRequest{}
	switch u.kind {
	case kindExtend:
		request.Change = &mmsmov1.ModifyAckDeadlineRequest_ExtendBy{ExtendBy: durationpb.New(u.duration)}
	case kindRedeliver:
		request.Change = &mmsmov1.ModifyAckDeadlineRequest_RedeliverAfter{RedeliverAfter: durationpb.New(u.duration)}
	case kindRetry:
		request.Change = &mmsmov1.ModifyAckDeadlineRequest_Retry{Retry: &emptypb.Empty{}}
	case kindRelease:
		request.Change = &mmsmov1.ModifyAckDeadlineRequest_Release{Release: &emptypb.Empty{}}
	case kindDeadLetter:
		request.Change = &mmsmov1.ModifyAckDeadlineRequest_DeadLetterReason{DeadLetterReason: u.reason}
	}
	return request
}
