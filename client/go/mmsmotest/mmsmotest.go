// Package mmsmotest gives a test a gateway of its own.
//
//	gateway := mmsmotest.Start(t)
//	gateway.CreateSubscription("billing")
//	gateway.Post("message-1")
//	subscriber, err := mmsmo.NewSubscriber(mmsmo.Options{Target: gateway.Target})
package mmsmotest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

const (
	path = "/postbacks/mms-mo"
	// How long the gateway may take to begin, to end, and to answer.
	patience = 10 * time.Second
)

// Gateway is `mmsmo-gateway --ephemeral`: its journal is temporary, its ports are free ones of this
// machine, and it ends with the test. Its methods fail the test where the gateway does not do what
// they ask.
type Gateway struct {
	// Target is where its services are, for mmsmo.Options.
	Target string
	// URL takes postbacks.
	URL string
	// AdminURL has /healthz, /readyz and /metrics.
	AdminURL string

	t       testing.TB
	process *exec.Cmd
	stdin   io.Closer
	end     sync.Once
	log     lockedBuffer
}

type settings struct {
	binary string
	flags  []string
}

// Option changes how the gateway is started.
type Option func(*settings)

// Binary is the gateway's path; without it, the environment variable MMSMO_GATEWAY, else
// mmsmo-gateway on the PATH.
func Binary(path string) Option { return func(s *settings) { s.binary = path } }

// Flags are more of the gateway's flags, such as "--resume-window", "1s".
func Flags(flags ...string) Option {
	return func(s *settings) { s.flags = append(s.flags, flags...) }
}

// Start starts one, and waits until it serves.
func Start(t testing.TB, options ...Option) *Gateway {
	t.Helper()
	chosen := settings{binary: os.Getenv("MMSMO_GATEWAY")}
	if chosen.binary == "" {
		chosen.binary = "mmsmo-gateway"
	}
	for _, option := range options {
		option(&chosen)
	}
	g := &Gateway{t: t, process: exec.Command(chosen.binary, append([]string{"--ephemeral"}, chosen.flags...)...)}
	g.process.Stderr = &g.log
	stdin, err := g.process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.stdin = stdin
	stdout, err := g.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.process.Start(); err != nil {
		t.Fatalf("mmsmotest: %v; give its path as Binary or MMSMO_GATEWAY", err)
	}
	t.Cleanup(g.Stop)
	g.readAddresses(stdout)
	return g
}

func (g *Gateway) readAddresses(stdout io.Reader) {
	g.t.Helper()
	impatience := time.AfterFunc(patience, func() { _ = g.process.Process.Kill() })
	defer impatience.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		g.t.Fatalf("mmsmotest: the gateway did not begin: %v\n%s", err, g.Log())
	}
	var addresses struct{ HTTP, GRPC, Admin string }
	if err := json.Unmarshal(line, &addresses); err != nil {
		g.t.Fatalf("mmsmotest: the gateway says %q: %v", line, err)
	}
	g.Target = addresses.GRPC
	g.URL = "http://" + addresses.HTTP + path
	g.AdminURL = "http://" + addresses.Admin
}

// Stop ends the gateway before the test does.
func (g *Gateway) Stop() {
	g.end.Do(func() {
		_ = g.stdin.Close()
		impatience := time.AfterFunc(patience, func() { _ = g.process.Process.Kill() })
		defer impatience.Stop()
		if err := g.process.Wait(); err != nil {
			g.t.Errorf("mmsmotest: the gateway ended badly: %v\n%s", err, g.Log())
		}
	})
}

// Kill ends the gateway as a crash would.
func (g *Gateway) Kill() {
	g.end.Do(func() {
		_ = g.process.Process.Kill()
		_ = g.process.Wait()
		_ = g.stdin.Close()
	})
}

// Log is what the gateway has logged.
func (g *Gateway) Log() string { return g.log.String() }

// Dial gives a connection for the stubs of mmsmov1, which the test's end closes.
func (g *Gateway) Dial() *grpc.ClientConn {
	g.t.Helper()
	conn, err := mmsmo.Dial(mmsmo.Options{Target: g.Target})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// CreateSubscription makes a named subscription to everything from the earliest event on; each of
// change may set what it is to be otherwise.
func (g *Gateway) CreateSubscription(name string, change ...func(*mmsmov1.Subscription)) {
	g.t.Helper()
	subscription := &mmsmov1.Subscription{Name: name, StartPosition: mmsmo.FromEarliest()}
	for _, apply := range change {
		apply(subscription)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := mmsmov1.NewSubscriptionServiceClient(g.Dial()).CreateSubscription(
		ctx, &mmsmov1.CreateSubscriptionRequest{Subscription: subscription})
	if err != nil {
		g.t.Fatalf("mmsmotest: %v", err)
	}
}

// Sample is a postback as the provider has it, in XML.
func Sample(trackingID string) []byte {
	var id strings.Builder
	_ = xml.EscapeText(&id, []byte(trackingID))
	return []byte("<postback><origin>MMS_MO</origin><code>N401</code><from>14082257140</from><to>28444</to>" +
		"<tracking-id>" + id.String() + "</tracking-id><timestamp>2026-04-24T18:34:00Z</timestamp>" +
		"<content><file>https://files.example.com/MMS_MO/photo.jpg</file></content></postback>")
}

// Post posts a sample, and returns the event's cursor once it is durable.
func (g *Gateway) Post(trackingID string) (cursor string) {
	g.t.Helper()
	return g.PostBody(Sample(trackingID))
}

// PostBody posts a body in XML that must be accepted, and returns the event's cursor.
func (g *Gateway) PostBody(body []byte) (cursor string) {
	g.t.Helper()
	cursor, err := post(g.URL, body)
	if err != nil {
		g.t.Fatalf("mmsmotest: %v\n%s", err, g.Log())
	}
	return cursor
}

func post(url string, body []byte) (cursor string, err error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Post(url, "application/xml", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	var said struct{ Outcome, Cursor string }
	if err := json.Unmarshal(text, &said); err != nil || said.Outcome != "accepted" {
		return "", fmt.Errorf("the postback was answered %s: %s", answer.Status, text)
	}
	return said.Cursor, nil
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
