package mmsmo

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff says how long to wait before the next attempt: exponential, with full jitter, so that the
// subscribers of a gateway that restarts do not come back all at once. Not for several goroutines.
type backoff struct {
	min, max time.Duration
	ceiling  time.Duration
	random   func() float64 // in [0, 1)
}

func newBackoff(options *Options) *backoff {
	b := &backoff{min: options.MinBackoff, max: options.MaxBackoff, random: rand.Float64}
	b.reset()
	return b
}

// next is between nothing and a ceiling that doubles with each call.
func (b *backoff) next() time.Duration {
	wait := time.Duration(b.random() * float64(b.ceiling))
	b.ceiling = min(2*b.ceiling, b.max)
	return wait
}

// reset is for after a success.
func (b *backoff) reset() { b.ceiling = min(b.min, b.max) }

// sleep returns early, and false, when ctx ends.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
