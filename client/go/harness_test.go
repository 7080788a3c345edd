package mmsmo_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmotest"
)

const patience = 20 * time.Second

// until waits for what will be so soon.
func until(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !isSo(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to this: %s", what)
		}
	}
}

// wantNoLeaks fails a test that leaves goroutines of the client or of its connections behind. Called
// first, it looks last.
func wantNoLeaks(t *testing.T) {
	t.Helper()
	leaked := func() (stacks []string) {
		buffer := make([]byte, 1<<20)
		for _, stack := range strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n")[1:] {
			isOurs := strings.Contains(stack, "mmsmo-gateway/client/go") || strings.Contains(stack, "google.golang.org/grpc")
			if isOurs && !strings.Contains(stack, "testing.(*T).Run(") {
				stacks = append(stacks, stack)
			}
		}
		return stacks
	}
	t.Cleanup(func() {
		for deadline := time.Now().Add(5 * time.Second); len(leaked()) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("goroutines are left:\n%s", strings.Join(leaked(), "\n\n"))
			}
		}
	})
}

func newGateway(t *testing.T, options ...mmsmotest.Option) *mmsmotest.Gateway {
	t.Helper()
	wantNoLeaks(t)
	return mmsmotest.Start(t, options...)
}

// post posts count samples, several at a time, and returns their tracking ids.
func post(t *testing.T, gateway *mmsmotest.Gateway, count int) []string {
	t.Helper()
	ids := make([]string, count)
	next := make(chan int)
	var posting sync.WaitGroup
	for range 8 {
		posting.Add(1)
		go func() {
			defer posting.Done()
			for i := range next {
				gateway.Post(ids[i])
			}
		}()
	}
	for i := range ids {
		ids[i] = fmt.Sprintf("id-%04d", i)
		next <- i
	}
	close(next)
	posting.Wait()
	return ids
}

// consumer is a Subscriber that runs, and what its handler saw.
type consumer struct {
	t          *testing.T
	target     string
	subscriber *mmsmo.Subscriber
	ended      chan struct{} // closed when the run has, with err
	err        error

	mu           sync.Mutex
	attempts     map[string][]int // that were handled, by tracking id
	connected    int
	disconnected []error
	failedAcks   map[string]error
}

func (c *consumer) hooks() mmsmo.Hooks {
	return mmsmo.Hooks{
		Connected: func() { c.note(func() { c.connected++ }) },
		Disconnected: func(why error) {
			c.note(func() { c.disconnected = append(c.disconnected, why) })
		},
		AckFailed: func(ackID string, why error) { c.note(func() { c.failedAcks[ackID] = why }) },
	}
}

func (c *consumer) note(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
}

func (c *consumer) see(what func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return what()
}

// newConsumer runs nothing yet.
func newConsumer(t *testing.T, options mmsmo.Options) *consumer {
	t.Helper()
	c := &consumer{t: t, target: options.Target, ended: make(chan struct{}), attempts: map[string][]int{}, failedAcks: map[string]error{}}
	options.Hooks = c.hooks()
	options.Logger = slog.New(slog.DiscardHandler)
	if options.MinBackoff == 0 {
		options.MinBackoff = 10 * time.Millisecond
	}
	subscriber, err := mmsmo.NewSubscriber(options)
	if err != nil {
		t.Fatal(err)
	}
	c.subscriber = subscriber
	return c
}

// consume runs it until the test's end, with a handler that may be nil: an acknowledgement.
func consume(t *testing.T, options mmsmo.Options, handler mmsmo.Handler) *consumer {
	t.Helper()
	c := newConsumer(t, options)
	if handler == nil {
		handler = func(context.Context, *mmsmo.Delivery) mmsmo.Verdict { return mmsmo.Ack() }
	}
	go func() {
		defer close(c.ended)
		c.err = c.subscriber.Run(context.Background(), "work", func(ctx context.Context, d *mmsmo.Delivery) mmsmo.Verdict {
			verdict := handler(ctx, d)
			c.note(func() {
				id := idOf(d)
				c.attempts[id] = append(c.attempts[id], d.Attempt)
			})
			return verdict
		})
	}()
	t.Cleanup(func() {
		c.subscriber.Stop(mmsmo.Release, 0)
		<-c.ended
	})
	return c
}

func idOf(d *mmsmo.Delivery) string { return d.Event.GetMmsMo().GetTrackingId() }

func (c *consumer) handled() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.attempts)
}

func (c *consumer) wantEnd(want func(error) bool) {
	c.t.Helper()
	select {
	case <-c.ended:
		if !want(c.err) {
			c.t.Fatalf("it ended with %v", c.err)
		}
	case <-time.After(patience):
		c.t.Fatal("it does not end")
	}
}

func isNil(err error) bool { return err == nil }

// wantOnceEach: all of ids were handled by one of the consumers, once.
func wantOnceEach(t *testing.T, ids []string, consumers ...*consumer) {
	t.Helper()
	times := map[string]int{}
	for _, c := range consumers {
		c.note(func() {
			for id, attempts := range c.attempts {
				times[id] += len(attempts)
			}
		})
		if failed := c.subscriber.Stats().FailedAcks; failed != 0 {
			t.Errorf("%d acknowledgements had no effect", failed)
		}
	}
	if len(times) != len(ids) {
		t.Errorf("%d events were handled, want %d", len(times), len(ids))
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("%s was handled %d times", id, n)
		}
	}
}

// proxy is a connection's way to the gateway, on which much can go wrong.
type proxy struct {
	target   string
	listener net.Listener
	taken    atomic.Int64 // connections so far

	mu    sync.Mutex
	hole  chan struct{} // not nil: nothing is forwarded until it is closed
	conns []net.Conn
	ways  sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, listener: listener}
	p.ways.Add(1)
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.fillHole()
		p.cut()
		p.ways.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	defer p.ways.Done()
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.taken.Add(1)
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		hole := p.hole // of connections that begin in it; older ones have it set under them
		p.mu.Unlock()
		p.ways.Add(2)
		go p.forward(client, server, hole)
		go p.forward(server, client, hole)
	}
}

func (p *proxy) forward(from, to net.Conn, hole chan struct{}) {
	defer p.ways.Done()
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		if hole == nil {
			hole = p.hole
		}
		p.mu.Unlock()
		if hole != nil {
			// A hole keeps what fell into it: its connections never work again.
			<-hole
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// count is how many connections there are.
func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) / 2
}

// cut closes every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}

// digHole makes a black hole of the connections that there are and that come.
func (p *proxy) digHole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hole = make(chan struct{})
}

// openWay lets new connections through; those in the hole stay there.
func (p *proxy) openWay() (fill func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hole := p.hole
	p.hole = nil
	return func() { close(hole) }
}

func (p *proxy) fillHole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hole != nil {
		close(p.hole)
		p.hole = nil
	}
}
