package mmsmo

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/mmsmo/mmsmo-gateway/client/go/internal/defaults"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

var errSilent = status.Error(codes.DeadlineExceeded, "the gateway gave no sign of life")

// sink is what streams are for. Called from the loop's goroutine.
type sink interface {
	// nextRequest is what the next stream begins with: its source, and what belongs to that.
	nextRequest() *mmsmov1.SubscribeRequest
	// onFrame may take its time: a sink that is slow is not taken for a silent gateway. An error
	// ends the loop with it.
	onFrame(frame *mmsmov1.SubscribeResponse) error
	onStreamEnd()
}

// streamLoop reads streams of Subscribe, one after the other: one that fails, ends, or is silent for
// three heartbeats is replaced, after a wait that grows from failure to failure.
type streamLoop struct {
	options *Options
	conn    *connection
	sink    sink
}

// sinkError is what a sink ends the loop with.
type sinkError struct{ error }

// run reads until ctx ends, which is no error, or a failure that is final.
func (l *streamLoop) run(ctx context.Context) error {
	backoff := newBackoff(l.options)
	for {
		token := l.conn.token(ctx)
		gotFrame, err := l.readStream(ctx)
		l.sink.onStreamEnd()
		var ofSink sinkError
		if errors.As(err, &ofSink) {
			return ofSink.error
		}
		if ctx.Err() != nil {
			return nil
		}
		hasNewToken := status.Code(err) == codes.Unauthenticated && l.conn.token(ctx) != token
		if isFinal(err) && !hasNewToken {
			return typed(err)
		}
		if gotFrame {
			backoff.reset()
		}
		// What nothing comes over would not carry the next stream either, and what has failed
		// would wait for a time of its own before it connects again.
		if errors.Is(err, errSilent) || !l.conn.isReady() {
			l.conn.renew()
		}
		l.onDisconnected(err)
		if !sleep(ctx, retryDelay(err)+backoff.next()) {
			return nil
		}
	}
}

func (l *streamLoop) onDisconnected(err error) {
	l.options.Logger.Warn("mmsmo: the stream is replaced", "target", l.options.Target, "why", err)
	if l.options.Hooks.Disconnected != nil {
		l.options.Hooks.Disconnected(err)
	}
}

func (l *streamLoop) readStream(ctx context.Context) (gotFrame bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := l.options.ConnectTimeout
	watchdog := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watchdog.Stop()

	stream, err := l.conn.stub().Subscribe(ctx, l.complete(l.sink.nextRequest()))
	for err == nil {
		var frame *mmsmov1.SubscribeResponse
		if frame, err = stream.Recv(); err != nil {
			break
		}
		// The gateway need not say anything while the sink works.
		watchdog.Stop()
		gotFrame = true
		if err := l.sink.onFrame(frame); err != nil {
			return gotFrame, sinkError{err}
		}
		if started := frame.GetStarted(); started != nil {
			silence = defaults.SilentHeartbeats * started.GetHeartbeatInterval().AsDuration()
		}
		l.tell(frame)
		watchdog.Reset(silence)
	}
	if errors.Is(context.Cause(ctx), errSilent) {
		return gotFrame, errSilent
	}
	if errors.Is(err, io.EOF) {
		err = status.Error(codes.Unavailable, "the gateway ended the stream")
	}
	return gotFrame, err
}

func (l *streamLoop) tell(frame *mmsmov1.SubscribeResponse) {
	hooks := &l.options.Hooks
	if frame.GetStarted() != nil && hooks.Connected != nil {
		hooks.Connected()
	}
	if frame.GetCaughtUp() != nil && hooks.CaughtUp != nil {
		hooks.CaughtUp()
	}
}

func (l *streamLoop) complete(request *mmsmov1.SubscribeRequest) *mmsmov1.SubscribeRequest {
	request.MaxBatchSize = int32(l.options.MaxBatchSize)
	request.ClientId = l.options.ClientID
	if l.options.HeartbeatInterval > 0 {
		request.HeartbeatInterval = durationpb.New(l.options.HeartbeatInterval)
	}
	return request
}
