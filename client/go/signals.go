package mmsmo

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// StopOnSignals stops the subscriber at SIGTERM or SIGINT: at the first with Finish, at the second
// with Release; a third ends the process, as it would without this. Call what it returns when the
// run is over.
//
//	defer mmsmo.StopOnSignals(subscriber, 10*time.Second)()
func StopOnSignals(subscriber *Subscriber, timeout time.Duration) (cancel func()) {
	signals := make(chan os.Signal, 2)
	done := make(chan struct{})
	ended := make(chan struct{})
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		defer close(ended)
		defer signal.Stop(signals)
		for _, mode := range []StopMode{Finish, Release} {
			select {
			case <-signals:
				subscriber.Stop(mode, timeout)
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
