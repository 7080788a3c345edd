package mmsmo

import "time"

type verdictKind int

const (
	verdictRetry verdictKind = iota
	verdictAck
	verdictRetryAfter
	verdictDeadLetter
)

// Verdict is what a handler says of a delivery. The zero Verdict is Retry.
type Verdict struct {
	kind   verdictKind
	delay  time.Duration // of RetryAfter
	reason string        // of DeadLetter
	err    error         // of Failed
}

// Ack: the event is done with.
func Ack() Verdict { return Verdict{kind: verdictAck} }

// Retry: deliver it again after the backoff that the subscription's retry policy has for this
// attempt.
func Retry() Verdict { return Verdict{} }

// RetryAfter: deliver it again after delay; 0 or less: at once.
func RetryAfter(delay time.Duration) Verdict {
	return Verdict{kind: verdictRetryAfter, delay: max(delay, 0)}
}

// DeadLetter: do not deliver it again. It becomes a dead letter, which says reason.
func DeadLetter(reason string) Verdict {
	return Verdict{kind: verdictDeadLetter, reason: reason}
}

// Failed is a Retry because of err, which is logged and counted in Stats.FailedHandlers.
func Failed(err error) Verdict { return Verdict{err: err} }

// String is "ack", "retry", "retry_after" or "dead_letter".
func (v Verdict) String() string {
	return [...]string{"retry", "ack", "retry_after", "dead_letter"}[v.kind]
}

// Err is what Failed was given; nil for every other verdict.
func (v Verdict) Err() error { return v.err }

// update is what the gateway is to be told.
func (v Verdict) update() update {
	switch v.kind {
	case verdictAck:
		return update{kind: kindAck}
	case verdictRetryAfter:
		return update{kind: kindRedeliver, duration: v.delay}
	case verdictDeadLetter:
		return update{kind: kindDeadLetter, reason: v.reason}
	default:
		return update{kind: kindRetry}
	}
}
