package mmsmo

import (
	"context"
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	backoffconfig "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/mmsmo/mmsmo-gateway/client/go/internal/defaults"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// Dial makes a connection for the stubs of mmsmov1, with the options' encryption and token. Like
// grpc.NewClient it does not wait for the gateway. The caller closes it.
//
//	conn, err := mmsmo.Dial(options)
//	subscriptions := mmsmov1.NewSubscriptionServiceClient(conn)
func Dial(options Options) (*grpc.ClientConn, error) {
	options, err := options.filled()
	if err != nil {
		return nil, err
	}
	return dial(&options)
}

func dial(options *Options) (*grpc.ClientConn, error) {
	encryption := insecure.NewCredentials()
	if options.TLS != nil {
		encryption = credentials.NewTLS(options.TLS)
	}
	dialOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(encryption),
		grpc.WithDisableServiceConfig(),
		// Bodies and events are as large as the gateway lets in.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:    defaults.KeepaliveTimeMs * time.Millisecond,
			Timeout: defaults.KeepaliveTimeoutMs * time.Millisecond,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoffconfig.DefaultConfig,
			MinConnectTimeout: options.ConnectTimeout,
		}),
	}
	if options.Token != nil {
		dialOptions = append(dialOptions, grpc.WithPerRPCCredentials(bearer{options.Token}))
	}
	if isLocal(options.Target) {
		dialOptions = append(dialOptions, grpc.WithNoProxy())
	}
	return grpc.NewClient(options.Target, append(dialOptions, options.DialOptions...)...)
}

// isLocal says whether target is a unix socket or names this machine by its loopback address.
func isLocal(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	for _, scheme := range []string{"dns:", "passthrough:"} {
		rest, found := strings.CutPrefix(target, scheme)
		if !found {
			continue
		}
		if authority, isFull := strings.CutPrefix(rest, "//"); isFull {
			_, rest, _ = strings.Cut(authority, "/")
		}
		target = strings.TrimPrefix(rest, "/")
		break
	}
	return isLoopback(hostOf(target))
}

// hostOf is that of HOST, HOST:PORT and [HOST]:PORT.
func hostOf(target string) string {
	if rest, isBracketed := strings.CutPrefix(target, "["); isBracketed {
		host, _, _ := strings.Cut(rest, "]")
		return host
	}
	if strings.Count(target, ":") > 1 {
		return target
	}
	host, _, _ := strings.Cut(target, ":")
	return host
}

func isLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761, 6.3
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// connection is the one that a run has at the moment. For several goroutines.
type connection struct {
	options *Options

	mu     sync.Mutex
	conn   *grpc.ClientConn
	closed bool
}

func connect(options *Options) (*connection, error) {
	conn, err := dial(options)
	if err != nil {
		return nil, err
	}
	return &connection{options: options, conn: conn}, nil
}

func (c *connection) stub() mmsmov1.MmsMoServiceClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	return mmsmov1.NewMmsMoServiceClient(c.conn)
}

func (c *connection) isReady() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.GetState() == connectivity.Ready
}

// renew gives up the connection, with the calls that wait on it.
func (c *connection) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	fresh, err := dial(c.options)
	if err != nil {
		return // which it was not before, with these very options
	}
	_ = c.conn.Close()
	c.conn = fresh
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = c.conn.Close()
}

// token is what a call would show now; empty where there is none.
func (c *connection) token(ctx context.Context) string {
	if c.options.Token == nil {
		return ""
	}
	token, err := c.options.Token(ctx)
	if err != nil {
		return ""
	}
	return token
}
