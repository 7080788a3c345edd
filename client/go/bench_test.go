package mmsmo_test

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmotest"
)

// BenchmarkAcknowledge handles and acknowledges 50,000 events; MMSMO_COMMAND posts them. Measure
// with one core for the client: -cpu 1 -benchtime 1x -count 5.
func BenchmarkAcknowledge(b *testing.B) {
	const count = 50_000
	for range b.N {
		b.StopTimer()
		gateway := filledGateway(b, count)
		subscriber, err := mmsmo.NewSubscriber(mmsmo.Options{Target: gateway.Target})
		if err != nil {
			b.Fatal(err)
		}
		var handled atomic.Int64
		b.StartTimer()
		err = subscriber.Run(context.Background(), "bench", func(context.Context, *mmsmo.Delivery) mmsmo.Verdict {
			if handled.Add(1) == count {
				subscriber.Stop(mmsmo.Finish, 10*time.Second)
			}
			return mmsmo.Ack()
		})
		b.StopTimer()
		if err != nil || subscriber.Stats().FailedAcks != 0 {
			b.Fatal(err, subscriber.Stats())
		}
		gateway.Stop()
	}
	b.ReportMetric(count*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkHold reports what 10,000 events in hand take.
func BenchmarkHold(b *testing.B) {
	const count = 10_000
	for range b.N {
		b.StopTimer()
		gateway := filledGateway(b, count)
		before := residentBytes(b)
		subscriber, err := mmsmo.NewSubscriber(mmsmo.Options{Target: gateway.Target})
		if err != nil {
			b.Fatal(err)
		}
		begun := make(chan struct{}, 1)
		release := make(chan struct{})
		done := make(chan error)
		go func() {
			done <- subscriber.Run(context.Background(), "bench", func(context.Context, *mmsmo.Delivery) mmsmo.Verdict {
				begun <- struct{}{}
				<-release
				return mmsmo.Ack()
			})
		}()
		<-begun
		for subscriber.Stats().Held < count {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(residentBytes(b)-before)/1e6, "MB")
		subscriber.Stop(mmsmo.Release, 10*time.Second)
		close(release)
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		gateway.Stop()
	}
}

func filledGateway(b *testing.B, count int) *mmsmotest.Gateway {
	command := os.Getenv("MMSMO_COMMAND")
	if command == "" {
		b.Skip("MMSMO_COMMAND is not set")
	}
	gateway := mmsmotest.Start(b)
	gateway.CreateSubscription("bench")
	send := exec.Command(command, "send", "--url", gateway.URL, "--count", strconv.Itoa(count), "--connections", "64")
	if output, err := send.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, output)
	}
	return gateway
}

func residentBytes(b *testing.B) int64 {
	runtime.GC()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kilobytes << 10
}
