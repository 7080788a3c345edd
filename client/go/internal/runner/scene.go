package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

type start struct {
	Boundary string `json:"boundary"`
	Cursor   string `json:"cursor"`
}

func (s start) position() *mmsmov1.StartPosition {
	switch {
	case s.Cursor != "":
		return mmsmo.AfterCursor(s.Cursor)
	case s.Boundary == "LATEST":
		return mmsmo.FromLatest()
	default:
		return mmsmo.FromEarliest()
	}
}

type settings struct {
	Concurrency            int    `json:"concurrency"`
	MaxOutstandingMessages int    `json:"max_outstanding_messages"`
	MaxOutstandingBytes    int64  `json:"max_outstanding_bytes"`
	HeartbeatIntervalMs    int64  `json:"heartbeat_interval_ms"`
	MinBackoffMs           int64  `json:"min_backoff_ms"`
	MaxBackoffMs           int64  `json:"max_backoff_ms"`
	ConnectTimeoutMs       int64  `json:"connect_timeout_ms"`
	MaxHandlerTimeMs       int64  `json:"max_handler_time_ms"`
	Token                  string `json:"token"`
	ClientID               string `json:"client_id"`
}

func (s settings) of(target string, hooks mmsmo.Hooks) mmsmo.Options {
	ms := func(count int64) time.Duration { return time.Duration(count) * time.Millisecond }
	options := mmsmo.Options{
		Target:                 target,
		Concurrency:            s.Concurrency,
		MaxOutstandingMessages: s.MaxOutstandingMessages,
		MaxOutstandingBytes:    s.MaxOutstandingBytes,
		HeartbeatInterval:      ms(s.HeartbeatIntervalMs),
		MinBackoff:             ms(s.MinBackoffMs),
		MaxBackoff:             ms(s.MaxBackoffMs),
		ConnectTimeout:         ms(s.ConnectTimeoutMs),
		MaxHandlerTime:         ms(s.MaxHandlerTimeMs),
		ClientID:               s.ClientID,
		Hooks:                  hooks,
	}
	if s.Token != "" {
		options.Token = mmsmo.Token(s.Token)
	}
	return options
}

// held is what handlers that hold wait for, until they are let go for good.
type held struct {
	once sync.Once
	gone chan struct{}
}

func newHeld() *held { return &held{gone: make(chan struct{})} }

func (h *held) letGo() { h.once.Do(func() { close(h.gone) }) }

// scene is one run or follow, and what its handler does.
type scene struct {
	out  *output
	held *held
	plan []rule
}

func newScene(out *output, held *held, plan []rule) *scene {
	return &scene{out: out, held: held, plan: plan}
}

func (s *scene) run(subscriber *mmsmo.Subscriber, c command) event {
	ended := event{"event": "ended", "cursor": "", "earliest_cursor": ""}
	var err error
	if c.Do == "run" {
		err = subscriber.Run(context.Background(), c.Subscription, s.handle)
	} else {
		err = subscriber.Follow(context.Background(), c.Start.position(), s.follow)
		ended["cursor"] = subscriber.Cursor()
	}
	ended["code"] = codeOf(err)
	var expired *mmsmo.CursorExpiredError
	if errors.As(err, &expired) {
		ended["earliest_cursor"] = expired.EarliestCursor
	}
	return ended
}

func (s *scene) hooks() mmsmo.Hooks {
	return mmsmo.Hooks{
		Connected:    func() { s.out.write(event{"event": "connected"}) },
		Disconnected: func(why error) { s.out.write(event{"event": "disconnected", "code": codeOf(why)}) },
		CaughtUp:     func() { s.out.write(event{"event": "caught_up"}) },
		AckFailed:    func(_ string, why error) { s.out.write(event{"event": "ack_failed", "why": whyOf(why)}) },
	}
}

func (s *scene) handle(ctx context.Context, d *mmsmo.Delivery) (verdict mmsmo.Verdict) {
	id := d.Event.GetMmsMo().GetTrackingId()
	s.out.write(event{"event": "begin", "id": id, "attempt": d.Attempt})
	does := ruleFor(s.plan, id, d.Attempt)
	if s.work(ctx, id, does) {
		verdict = mmsmo.Retry()
	} else if does.Verdict == "throw" {
		s.out.write(event{"event": "end", "id": id, "attempt": d.Attempt, "verdict": "throw"})
		panic("thrown as planned")
	} else {
		verdict = does.verdict()
	}
	s.out.write(event{"event": "end", "id": id, "attempt": d.Attempt, "verdict": verdict.String()})
	return verdict
}

func (s *scene) follow(ctx context.Context, e *mmsmov1.Event) error {
	id := e.GetMmsMo().GetTrackingId()
	s.out.write(event{"event": "begin", "id": id, "attempt": 0})
	does := ruleFor(s.plan, id, 0)
	if s.work(ctx, id, does) {
		return ctx.Err()
	}
	if does.Verdict == "throw" {
		s.out.write(event{"event": "end", "id": id, "attempt": 0, "verdict": "throw"})
		panic("thrown as planned")
	}
	does.verdict()
	s.out.write(event{"event": "end", "id": id, "attempt": 0, "verdict": "ack"})
	return nil
}

// work returns whether the handler was told to end before it was done.
func (s *scene) work(ctx context.Context, id string, does rule) (told bool) {
	if does.Hold {
		select {
		case <-s.held.gone:
		case <-ctx.Done():
			told = true
		}
	}
	if does.WorkMs > 0 && !told {
		select {
		case <-time.After(time.Duration(does.WorkMs) * time.Millisecond):
		case <-ctx.Done():
			told = true
		}
	}
	if told {
		s.out.write(event{"event": "told", "id": id})
	}
	return told
}

func codeOf(err error) string {
	var panicked *mmsmo.PanicError
	if errors.As(err, &panicked) {
		return "INTERNAL"
	}
	return nameOf(status.Code(err))
}

// nameOf is the code's name as the contract has it: NOT_FOUND for NotFound.
func nameOf(code codes.Code) string {
	if code == codes.OK {
		return "OK"
	}
	var name strings.Builder
	for i, letter := range code.String() {
		if i > 0 && unicode.IsUpper(letter) {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToUpper(letter))
	}
	return name.String()
}

func whyOf(err error) string {
	switch {
	case errors.Is(err, mmsmo.ErrAckExpired):
		return "EXPIRED"
	case errors.Is(err, mmsmo.ErrAckInvalid):
		return "INVALID"
	default:
		return codeOf(err)
	}
}
