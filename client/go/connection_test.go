package mmsmo

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestIsLocal(t *testing.T) {
	for target, want := range map[string]bool{
		"localhost:9090": true, "LOCALHOST.:9090": true, "a.localhost": true, "127.0.0.1:9090": true,
		"127.255.0.9": true, "[::1]:9090": true, "::1": true, "[::ffff:127.0.0.1]:1": true,
		"unix:/run/mmsmo.sock": true, "unix-abstract:mmsmo": true, "dns:localhost:1": true,
		"dns:///localhost:1": true, "dns://9.9.9.9/localhost": true, "passthrough:///127.0.0.1:1": true,
		"example.com:9090": false, "localhost.example.com:1": false, "notlocalhost": false, "10.0.0.1:9090": false,
		"128.0.0.1": false, "[::2]:9090": false, "dns:///example.com:1": false, "dns://localhost/example.com": false,
		"passthrough:///10.0.0.1:1": false, "": false,
	} {
		if isLocal(target) != want {
			t.Errorf("isLocal(%q) is not %v", target, want)
		}
	}
}

func TestATokenGoesNowhereInPlain(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		refused bool
	}{
		"plain":     {Options{Target: "example.com:1", Token: Token("x")}, true},
		"none":      {Options{Target: "example.com:1"}, false},
		"encrypted": {Options{Target: "example.com:1", Token: Token("x"), TLS: &tls.Config{}}, false},
		"local":     {Options{Target: "localhost:1", Token: Token("x")}, false},
		"told to":   {Options{Target: "example.com:1", Token: Token("x"), SendTokenUnencrypted: true}, false},
	} {
		_, err := NewSubscriber(c.options)
		if (status.Code(err) == codes.InvalidArgument) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsThatAreWrongAreNamed(t *testing.T) {
	for name, options := range map[string]Options{
		"Target":      {},
		"MinBackoff":  {Target: "localhost:1", MinBackoff: -1},
		"Concurrency": {Target: "localhost:1", Concurrency: -1},
	} {
		if _, err := NewSubscriber(options); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokensAreOneLineOfVisibleCharacters(t *testing.T) {
	for text, isGood := range map[string]bool{
		"a-b_c.d~": true, "": false, "a b": false, "a\nb": false, "a\n": false, "ä": false, "a\x7f": false,
	} {
		if _, err := Token(text)(context.Background()); (err == nil) != isGood {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTokenFileIsReadAgainWhenItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	source := TokenFile(path)
	at := time.Unix(1_700_000_000, 0)
	want := func(wanted string) {
		t.Helper()
		if token, err := source(context.Background()); token != wanted || (err == nil) != (wanted != "") {
			t.Fatalf("the token is %q, %v, want %q", token, err, wanted)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	want("")
	write("first\n")
	want("first")
	write("second\r\n")
	want("second")
	write("is broken\n")
	want("second")
	write("third")
	want("third")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("third")
}

func TestCursorExpiredNamesTheEarliest(t *testing.T) {
	answer, err := status.New(codes.OutOfRange, "too old").WithDetails(&errdetails.ErrorInfo{
		Reason: "CURSOR_EXPIRED", Domain: "mmsmo.v1", Metadata: map[string]string{"earliest_cursor": "abc"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var expired *CursorExpiredError
	if err := typed(answer.Err()); !errors.As(err, &expired) || expired.EarliestCursor != "abc" ||
		status.Code(err) != codes.OutOfRange || !strings.Contains(err.Error(), "abc") {
		t.Errorf("%v", err)
	}
	for _, other := range []error{status.Error(codes.OutOfRange, "x"), status.Error(codes.NotFound, "x")} {
		if errors.As(typed(other), &expired) {
			t.Errorf("%v is taken for an expired cursor", other)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for want, verdict := range map[string]Verdict{
		"ack": Ack(), "retry": Retry(), "retry_after": RetryAfter(time.Second), "dead_letter": DeadLetter("x"),
	} {
		if verdict.String() != want || verdict.Err() != nil {
			t.Errorf("%v, want %s", verdict, want)
		}
	}
	if (Verdict{}) != Retry() {
		t.Error("the zero Verdict is no Retry")
	}
	if RetryAfter(-1).update().duration != 0 {
		t.Error("a wait is below 0")
	}
	if failed := Failed(os.ErrClosed); failed.String() != "retry" || !errors.Is(failed.Err(), os.ErrClosed) {
		t.Errorf("%v: %v", failed, failed.Err())
	}
}
