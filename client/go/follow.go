package mmsmo

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// followRun hands events over, and remembers where it is.
type followRun struct {
	options *Options
	start   *mmsmov1.StartPosition
	handler EventHandler

	stopping context.Context // of the streams
	end      context.CancelFunc
	handling context.Context // of the handlers
	endHard  context.CancelFunc

	mu       sync.Mutex
	position string // empty before the first frame
	timers   []*time.Timer
}

func newFollowRun(ctx context.Context, options *Options, start *mmsmov1.StartPosition, handler EventHandler) *followRun {
	r := &followRun{options: options, start: start, handler: handler}
	r.handling, r.endHard = context.WithCancel(context.WithoutCancel(ctx))
	r.stopping, r.end = context.WithCancel(r.handling)
	return r
}

func (r *followRun) run(ctx context.Context) error {
	defer r.endHard()
	conn, err := connect(r.options)
	if err != nil {
		return err
	}
	defer conn.close()
	defer context.AfterFunc(ctx, func() { r.stop(Release, r.options.StopTimeout) })()
	loop := streamLoop{options: r.options, conn: conn, sink: r}
	err = loop.run(r.stopping)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, timer := range r.timers {
		timer.Stop()
	}
	return err
}

// stop: in either mode the handler that is running finishes, and no other begins.
func (r *followRun) stop(_ StopMode, timeout time.Duration) {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timers = append(r.timers, time.AfterFunc(timeout, r.endHard))
}

func (r *followRun) nextRequest() *mmsmov1.SubscribeRequest {
	start := r.start
	if cursor := r.cursor(); cursor != "" {
		start = AfterCursor(cursor)
	}
	return &mmsmov1.SubscribeRequest{
		Source: &mmsmov1.SubscribeRequest_StartPosition{StartPosition: start},
		Filter: r.options.Filter,
	}
}

func (r *followRun) onFrame(frame *mmsmov1.SubscribeResponse) error {
	for _, delivery := range frame.GetBatch().GetDeliveries() {
		if r.stopping.Err() != nil {
			return nil // the rest of the frame is not handed over
		}
		if err := r.handle(delivery.GetEvent()); err != nil {
			return err
		}
		r.setCursor(delivery.GetEvent().GetCursor())
	}
	if r.stopping.Err() == nil { // else the rest of a frame before may not have been handed over
		r.setCursor(frame.GetCursor()) // which filtered events may have moved on
	}
	return nil
}

func (r *followRun) onStreamEnd() {}

func (r *followRun) handle(event *mmsmov1.Event) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return r.handler(r.handling, event)
}

func (r *followRun) cursor() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position
}

func (r *followRun) setCursor(cursor string) {
	if cursor == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.position = cursor
}
