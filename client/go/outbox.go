package mmsmo

import (
	"time"

	"github.com/mmsmo/mmsmo-gateway/client/go/internal/defaults"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

type updateKind int

const (
	kindAck updateKind = iota
	kindExtend
	kindRetry     // by the subscription's backoff
	kindRedeliver // after a time
	kindRelease   // it was not begun
	kindDeadLetter
)

// update is one change of a delivery's state; deliveries of equal updates share a call.
type update struct {
	kind     updateKind
	duration time.Duration // of kindExtend and kindRedeliver
	reason   string        // of kindDeadLetter
}

// isReported: that another update had no effect harms nobody, since its event is delivered again
// anyway.
func (u update) isReported() bool { return u.kind == kindAck || u.kind == kindDeadLetter }

type updateCall struct {
	update update
	ackIDs []string // at most defaults.MaxAckIds
}

type failedUpdate struct {
	ackID string
	why   error
}

// outbox is what the gateway is to be told about deliveries: gathered into calls, and kept until
// answered. It has no I/O and no clock: its owner makes the calls and says what time it is. Not for
// several goroutines.
type outbox struct {
	backoff     *backoff
	linger      time.Duration // how long updates wait for others
	groups      map[update]*group
	pausedUntil time.Time
}

type group struct {
	ackIDs []string // never none
	due    time.Time
}

func newOutbox(backoff *backoff) *outbox {
	return &outbox{backoff: backoff, linger: defaults.AckLingerMs * time.Millisecond, groups: map[update]*group{}}
}

// add returns whether due has come nearer.
func (o *outbox) add(u update, ackID string, now time.Time) bool {
	g := o.groups[u]
	if g == nil {
		o.groups[u] = &group{ackIDs: []string{ackID}, due: now.Add(o.linger)}
		return true
	}
	g.ackIDs = append(g.ackIDs, ackID)
	if len(g.ackIDs) != defaults.AckBatch || !g.due.After(now) {
		return false
	}
	g.due = now
	return true
}

// addAll adds without waiting for others.
func (o *outbox) addAll(u update, ackIDs []string, now time.Time) {
	if len(ackIDs) == 0 {
		return
	}
	g := o.groups[u]
	if g == nil {
		g = &group{}
		o.groups[u] = g
	}
	g.due = now
	g.ackIDs = append(g.ackIDs, ackIDs...)
}

// hurry: from now on nothing waits for others.
func (o *outbox) hurry(now time.Time) {
	o.linger = 0
	for _, g := range o.groups {
		if g.due.After(now) {
			g.due = now
		}
	}
}

func (o *outbox) empty() bool { return len(o.groups) == 0 }

// due is when take has something; false where there is nothing.
func (o *outbox) due() (time.Time, bool) {
	_, g := o.next()
	if g == nil {
		return time.Time{}, false
	}
	if g.due.Before(o.pausedUntil) {
		return o.pausedUntil, true
	}
	return g.due, true
}

// next is what is due for longest, so that no kind of update crowds out another.
func (o *outbox) next() (update, *group) {
	var first update
	var next *group
	for u, g := range o.groups {
		if next == nil || g.due.Before(next.due) {
			first, next = u, g
		}
	}
	return first, next
}

// take returns nil where nothing is due.
func (o *outbox) take(now time.Time) *updateCall {
	u, g := o.next()
	if g == nil || g.due.After(now) || o.pausedUntil.After(now) {
		return nil
	}
	if len(g.ackIDs) <= defaults.MaxAckIds {
		delete(o.groups, u)
		return &updateCall{update: u, ackIDs: g.ackIDs}
	}
	call := &updateCall{update: u, ackIDs: g.ackIDs[:defaults.MaxAckIds:defaults.MaxAckIds]}
	g.ackIDs = g.ackIDs[defaults.MaxAckIds:]
	return call
}

// onAnswer puts back what may pass, and returns the acks and dead letters that had no effect.
func (o *outbox) onAnswer(call *updateCall, err error, failures []*mmsmov1.AckFailure, now time.Time) []failedUpdate {
	if err != nil {
		return o.onError(call, err, now)
	}
	var failed []failedUpdate
	var again []string
	for _, failure := range failures {
		switch {
		case failure.GetReason() == mmsmov1.AckFailureReason_ACK_FAILURE_REASON_TRANSIENT:
			again = append(again, failure.GetAckId())
		case call.update.isReported():
			failed = append(failed, failedUpdate{failure.GetAckId(), whyOf(failure.GetReason())})
		}
	}
	if len(again) > 0 {
		o.tryAgain(call.update, again, 0, now)
	} else {
		o.backoff.reset()
	}
	return failed
}

func (o *outbox) onError(call *updateCall, err error, now time.Time) []failedUpdate {
	if !isFinal(err) {
		o.tryAgain(call.update, call.ackIDs, retryDelay(err), now)
		return nil
	}
	if !call.update.isReported() {
		return nil
	}
	failed := make([]failedUpdate, 0, len(call.ackIDs))
	for _, ackID := range call.ackIDs {
		failed = append(failed, failedUpdate{ackID, err})
	}
	return failed
}

// tryAgain pauses for a time of its own, on top of what the gateway asks for.
func (o *outbox) tryAgain(u update, ackIDs []string, asked time.Duration, now time.Time) {
	// Calls that were under way together fail together: that is one failure.
	if !now.Before(o.pausedUntil) {
		o.pausedUntil = now.Add(asked + o.backoff.next())
	}
	o.addAll(u, ackIDs, now)
}

func whyOf(reason mmsmov1.AckFailureReason) error {
	if reason == mmsmov1.AckFailureReason_ACK_FAILURE_REASON_EXPIRED {
		return ErrAckExpired
	}
	return ErrAckInvalid
}
