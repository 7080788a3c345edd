package mmsmo

import (
	"context"
	"testing"
	"time"
)

func TestBackoffIsFullJitterBelowADoublingCeiling(t *testing.T) {
	options, err := Options{Target: "localhost:1"}.filled()
	if err != nil {
		t.Fatal(err)
	}
	b := newBackoff(&options)
	for _, random := range []float64{0, 0.5, 0.999} {
		b.random = func() float64 { return random }
		b.reset()
		for _, ceiling := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000} {
			want := time.Duration(random * float64(ceiling*time.Millisecond))
			if wait := b.next(); wait != want {
				t.Fatalf("waits %v, want %v", wait, want)
			}
		}
	}
}

func TestBackoffIsNeverAboveItsMaximum(t *testing.T) {
	b := newBackoff(&Options{MinBackoff: time.Second, MaxBackoff: time.Millisecond})
	for range 100 {
		if wait := b.next(); wait < 0 || wait >= time.Millisecond {
			t.Fatalf("waits %v", wait)
		}
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if sleep(ctx, time.Hour) {
		t.Fatal("it slept")
	}
	if !sleep(context.Background(), 0) {
		t.Fatal("it was disturbed")
	}
}
