package mmsmo

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TokenSource gives what is sent with each call as "authorization: Bearer TOKEN". It is called at
// the beginning of each, from several goroutines, and should remember a token that is still good.
// An error fails the call, which is tried again.
type TokenSource func(ctx context.Context) (string, error)

// Token is always this one.
func Token(text string) TokenSource {
	return func(context.Context) (string, error) { return checkTokenText("token", text) }
}

// TokenFile is what a file holds, without the newline that may end it. The file is read again when
// it changes, so that a token can be exchanged; one that is broken by then changes nothing.
func TokenFile(path string) TokenSource {
	file := &tokenFile{path: path}
	return file.get
}

type tokenFile struct {
	path string

	mu   sync.Mutex
	seen os.FileInfo // of the file when it was read
	text string      // empty: not yet read
}

func (f *tokenFile) get(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := os.Stat(f.path)
	if err == nil && f.seen != nil && isSame(now, f.seen) {
		return f.text, nil
	}
	if err == nil {
		err = f.read(now)
	}
	if err != nil && f.text == "" {
		return "", err
	}
	return f.text, nil
}

func (f *tokenFile) read(info os.FileInfo) error {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if text, err = checkTokenText(f.path, text); err != nil {
		return err
	}
	f.seen, f.text = info, text
	return nil
}

func isSame(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func checkTokenText(source, text string) (string, error) {
	isInvisible := func(r rune) bool { return r <= ' ' || r > '~' }
	if text == "" || strings.ContainsFunc(text, isInvisible) {
		return "", fmt.Errorf("%s: a token has one line of visible ASCII characters, without spaces", source)
	}
	return text, nil
}

// checkToken refuses a token that others could read on its way.
func checkToken(options *Options) error {
	if options.Token == nil || options.TLS != nil || options.SendTokenUnencrypted || isLocal(options.Target) {
		return nil
	}
	return status.Errorf(codes.InvalidArgument,
		"mmsmo: the token would go to %q without encryption, where others can read it; use TLS, or say "+
			"SendTokenUnencrypted", options.Target)
}

// bearer puts the token into every call of a connection.
type bearer struct{ source TokenSource }

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b.source(ctx)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "there is no token: %v", err)
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity is false, since checkToken is more exact.
func (b bearer) RequireTransportSecurity() bool { return false }
