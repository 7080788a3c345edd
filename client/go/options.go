package mmsmo

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mmsmo/mmsmo-gateway/client/go/internal/defaults"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// Options of a Subscriber, and of Dial. All but Target may be left out.
type Options struct {
	// Target is HOST:PORT or unix:PATH.
	Target string
	// TLS encrypts; nil: nothing is. LoadTLS reads one from files. Its ServerName is the name that
	// the gateway's certificate must have; empty: the target's host.
	TLS *tls.Config
	// Token is shown with every call. Without encryption it goes to this machine only, unless
	// SendTokenUnencrypted.
	Token                TokenSource
	SendTokenUnencrypted bool
	// DialOptions come after those that the rest of the options are made into.
	DialOptions []grpc.DialOption

	// Filter says which events; with Follow only, since a named subscription has its own.
	Filter *mmsmov1.Filter
	// MaxBatchSize is how many events a frame may have, 1 to 10,000; 0: the gateway's default.
	MaxBatchSize int
	// HeartbeatInterval is that of the gateway's sign of life, 0.1 s to 3600 s; 0: the gateway's
	// default. After three of them without a frame the connection is given up.
	HeartbeatInterval time.Duration
	// ClientID names this program in the gateway's logs; at most 256 bytes.
	ClientID string
	// Between two attempts: full jitter below a ceiling that doubles from MinBackoff (100 ms) to
	// MaxBackoff (10 s).
	MinBackoff, MaxBackoff time.Duration
	// ConnectTimeout is how long an attempt may take until its first frame; 0: 10 s.
	ConnectTimeout time.Duration

	// The rest is for named subscriptions.

	// Concurrency is how many handlers run at once; 0: 1, in the order of arrival.
	Concurrency int
	// What the gateway may have under way to this program, in deliveries and in bytes of events:
	// what waits here included. 0: the gateway's default.
	MaxOutstandingMessages int
	MaxOutstandingBytes    int64
	// MaxHandlerTime is how long a handler may take: then its delivery is a Retry, its context
	// ends, and what it returns counts no more. 0: as long as it takes; its lease is prolonged.
	MaxHandlerTime time.Duration
	// StopTimeout is that of a stop by Run's context, and after a failure that is final; 0: 10 s.
	StopTimeout time.Duration

	// Logger gets what goes wrong; nil: slog.Default().
	Logger *slog.Logger
	// Hooks are told what happens.
	Hooks Hooks
}

// Hooks are for metrics, traces and tests; each may be nil. They are called from several goroutines,
// never after the run, and must not wait for its end.
type Hooks struct {
	// Connected: a stream began.
	Connected func()
	// Disconnected: a stream ended, or could not begin, and will be tried again.
	Disconnected func(why error)
	// CaughtUp: everything that the gateway had was received.
	CaughtUp func()
	// AckFailed: an Ack or a DeadLetter had no effect: ErrAckExpired, ErrAckInvalid, or the status
	// that the call failed with for good.
	AckFailed func(ackID string, why error)
	// Handling is called around each handler of a named subscription: the handler gets the context
	// that it returns, and done, unless nil, is told the verdict. A trace begins so:
	//
	//	Handling: func(ctx context.Context, d *mmsmo.Delivery) (context.Context, func(mmsmo.Verdict)) {
	//		carrier := propagation.MapCarrier{"traceparent": d.Event.GetTraceParent()}
	//		link := trace.LinkFromContext(propagation.TraceContext{}.Extract(ctx, carrier))
	//		ctx, span := tracer.Start(ctx, "handle", trace.WithLinks(link))
	//		return ctx, func(v mmsmo.Verdict) { span.SetAttributes(attribute.Stringer("verdict", v)); span.End() }
	//	}
	Handling func(ctx context.Context, d *Delivery) (_ context.Context, done func(Verdict))
}

// filled has the defaults where nothing is said. The error names the option.
func (o Options) filled() (Options, error) {
	if o.Target == "" {
		return o, status.Error(codes.InvalidArgument, "mmsmo: Target: it is empty")
	}
	if err := checkToken(&o); err != nil {
		return o, err
	}
	for name, value := range map[string]int64{
		"HeartbeatInterval": int64(o.HeartbeatInterval), "MinBackoff": int64(o.MinBackoff),
		"MaxBackoff": int64(o.MaxBackoff), "ConnectTimeout": int64(o.ConnectTimeout),
		"MaxHandlerTime": int64(o.MaxHandlerTime), "StopTimeout": int64(o.StopTimeout),
		"Concurrency": int64(o.Concurrency),
	} {
		if value < 0 {
			return o, status.Errorf(codes.InvalidArgument, "mmsmo: %s: it is below 0", name)
		}
	}
	fill(&o.MinBackoff, defaults.MinBackoffMs*time.Millisecond)
	fill(&o.MaxBackoff, defaults.MaxBackoffMs*time.Millisecond)
	fill(&o.ConnectTimeout, defaults.ConnectTimeoutMs*time.Millisecond)
	fill(&o.StopTimeout, defaults.StopTimeoutMs*time.Millisecond)
	fill(&o.Concurrency, defaults.Concurrency)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

func fill[T comparable](value *T, byDefault T) {
	var zero T
	if *value == zero {
		*value = byDefault
	}
}
