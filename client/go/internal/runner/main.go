// Command runner is driven by the conformance scenario that all clients share: commands on standard
// input, events on standard output, a JSON object a line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/internal/defaults"
)

type command struct {
	Do           string   `json:"do"`
	Subscription string   `json:"subscription"`
	Start        start    `json:"start"`
	Target       string   `json:"target"`
	Plan         []rule   `json:"plan"`
	Options      settings `json:"options"`
	Mode         string   `json:"mode"`
	TimeoutMs    *int64   `json:"timeout_ms"`
	Count        int64    `json:"count"`
}

type event map[string]any

// output writes events, from any goroutine.
type output struct {
	mu     sync.Mutex
	writer io.Writer
}

func (o *output) write(e event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.writer.Write(append(line, '\n')); err != nil {
		os.Exit(1)
	}
}

type runner struct {
	out     *output
	held    *held
	current []*mmsmo.Subscriber
	running sync.WaitGroup
}

func (r *runner) do(c command) error {
	switch c.Do {
	case "defaults":
		said := event(defaults.All())
		said["event"] = "defaults"
		r.out.write(said)
	case "run", "follow":
		return r.begin(c)
	case "measure":
		r.measure(c)
	case "stop":
		r.stop(c)
	case "go":
		r.held.letGo()
	default:
		return fmt.Errorf("there is no command %q", c.Do)
	}
	return nil
}

func (r *runner) begin(c command) error {
	s := newScene(r.out, r.held, c.Plan)
	subscriber, err := mmsmo.NewSubscriber(c.Options.of(c.Target, s.hooks()))
	if err != nil {
		r.out.write(event{"event": "ended", "code": codeOf(err), "cursor": "", "earliest_cursor": ""})
		return nil
	}
	r.current = append(r.current, subscriber)
	r.running.Add(1)
	go func() {
		defer r.running.Done()
		r.out.write(s.run(subscriber, c))
	}()
	return nil
}

func (r *runner) measure(c command) {
	subscriber, err := mmsmo.NewSubscriber(c.Options.of(c.Target, mmsmo.Hooks{}))
	begin, handled := time.Now(), int64(0)
	if err == nil {
		err = subscriber.Run(context.Background(), c.Subscription, func(context.Context, *mmsmo.Delivery) mmsmo.Verdict {
			if handled++; handled == c.Count {
				subscriber.Stop(mmsmo.Finish, defaults.StopTimeoutMs*time.Millisecond)
			}
			return mmsmo.Ack()
		})
	}
	r.out.write(event{"event": "measured", "code": codeOf(err), "seconds": time.Since(begin).Seconds()})
}

func (r *runner) stop(c command) {
	mode, timeout := mmsmo.Finish, defaults.StopTimeoutMs*time.Millisecond
	if c.Mode == "release" {
		mode = mmsmo.Release
	}
	if c.TimeoutMs != nil {
		timeout = time.Duration(*c.TimeoutMs) * time.Millisecond
	}
	for _, subscriber := range r.current {
		subscriber.Stop(mode, timeout)
	}
}

func (r *runner) serve(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		if err := r.do(c); err != nil {
			return err
		}
	}
	r.stop(command{Mode: "release"})
	r.running.Wait()
	return lines.Err()
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	r := &runner{out: &output{writer: os.Stdout}, held: newHeld()}
	if err := r.serve(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(2)
	}
}
