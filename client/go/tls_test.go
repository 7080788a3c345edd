package mmsmo_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmotest"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// authority signs certificates, and keeps them as files.
type authority struct {
	t         *testing.T
	directory string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, directory: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour),
	}
	a.cert, a.key = a.sign("ca", template, template, nil)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.directory, name) }

func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
	}, a.cert, a.key)
	return a.file(name + ".pem"), a.file(name + ".key")
}

// sign signs with the new key itself where signer is nil.
func (a *authority) sign(name string, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	a.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(name string, content []byte) string {
	a.t.Helper()
	if err := os.WriteFile(a.file(name), content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return a.file(name)
}

const secret = "a-token-that-is-long-enough-to-be-secret"

// newSecureGateway knows an identity by its token and one by its certificate.
func newSecureGateway(t *testing.T, a *authority) *mmsmotest.Gateway {
	t.Helper()
	cert, key := a.issue("gateway")
	config := fmt.Sprintf(`
[[identity]]
name = "by-token"
token-file = %q
allow = ["admin"]
[[identity]]
name = "by-certificate"
san = ["client"]
allow = ["admin"]
`, a.write("token", []byte(secret+"\n")))
	return newGateway(t, mmsmotest.Flags("--config", a.write("gateway.toml", []byte(config)), "--grpc-tls-cert", cert,
		"--grpc-tls-key", key, "--grpc-tls-client-ca", a.file("ca.pem")))
}

func TestWhoMayOverTLS(t *testing.T) {
	a := newAuthority(t)
	gateway := newSecureGateway(t, a)
	cert, key := a.issue("client")
	options := func(cert, key string, token mmsmo.TokenSource) mmsmo.Options {
		config, err := mmsmo.LoadTLS(a.file("ca.pem"), cert, key)
		if err != nil {
			t.Fatal(err)
		}
		config.ServerName = "gateway"
		return mmsmo.Options{Target: gateway.Target, TLS: config, Token: token}
	}
	byToken := options("", "", mmsmo.TokenFile(a.file("token")))
	conn, err := mmsmo.Dial(byToken)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = mmsmov1.NewSubscriptionServiceClient(conn).CreateSubscription(context.Background(), &mmsmov1.CreateSubscriptionRequest{
		Subscription: &mmsmov1.Subscription{Name: "work", StartPosition: mmsmo.FromEarliest()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, may := range map[string]mmsmo.Options{"token": byToken, "certificate": options(cert, key, nil)} {
		gateway.Post(name)
		c := consume(t, may, nil)
		until(t, name+" is handled", func() bool { return c.handled() == 1 })
		c.subscriber.Stop(mmsmo.Finish, patience)
		c.wantEnd(isNil)
	}
	consume(t, options("", "", nil), nil).wantEnd(hasCode(codes.Unauthenticated))
	consume(t, options("", "", mmsmo.Token("another")), nil).wantEnd(hasCode(codes.Unauthenticated))
}

func TestAGatewayThatIsNotTrustedGetsNothing(t *testing.T) {
	a := newAuthority(t)
	gateway := newSecureGateway(t, a)
	for name, ca := range map[string]string{"other name": a.file("ca.pem"), "other authority": newAuthority(t).file("ca.pem")} {
		config, err := mmsmo.LoadTLS(ca, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if name == "other authority" {
			config.ServerName = "gateway"
		}
		shown := func(context.Context) (string, error) {
			return secret, nil
		}
		c := consume(t, mmsmo.Options{Target: gateway.Target, TLS: config, Token: shown}, nil)
		until(t, name+": it is refused", func() bool { return c.see(func() bool { return len(c.disconnected) > 0 }) })
		if why := c.disconnected[0]; !hasCode(codes.Unavailable)(why) || !bytes.Contains([]byte(why.Error()), []byte("x509")) {
			t.Errorf("%s: %v", name, why)
		}
	}
}

func TestFilesThatAreNoCertificatesAreNamed(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue("client")
	junk := a.write("junk", []byte("junk"))
	for name, files := range map[string][3]string{
		"key alone": {"", "", key}, "cert alone": {"", cert, ""}, "no file": {a.file("none"), "", ""},
		"junk": {junk, "", ""}, "other key": {"", cert, a.file("ca.key")}, "no cert": {"", junk, key},
	} {
		if _, err := mmsmo.LoadTLS(files[0], files[1], files[2]); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if _, err := mmsmo.LoadTLS(a.file("ca.pem"), cert, key); err != nil {
		t.Error(err)
	}
}
