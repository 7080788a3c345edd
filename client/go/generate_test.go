package mmsmo_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestStubsAreThoseOfTheContract generates them again. What another protoc says of its version does
// not matter.
func TestStubsAreThoseOfTheContract(t *testing.T) {
	if _, err := exec.LookPath("protoc"); err != nil {
		t.Skip("protoc is not installed")
	}
	generated := t.TempDir()
	if output, err := exec.Command("./generate.sh", generated).CombinedOutput(); err != nil {
		t.Fatalf("generate.sh: %v\n%s", err, output)
	}
	fresh, kept := stubsIn(t, generated), stubsIn(t, "mmsmov1")
	if len(fresh) == 0 || len(fresh) != len(kept) {
		t.Errorf("there are %d files, and %d are generated", len(kept), len(fresh))
	}
	for name, content := range fresh {
		if !bytes.Equal(content, kept[name]) {
			t.Errorf("mmsmov1/%s is not what generate.sh makes", name)
		}
	}
}

func stubsIn(t *testing.T, directory string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^// .*protoc +v.*$`)
	stubs := map[string][]byte{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		stubs[filepath.Base(path)] = version.ReplaceAll(content, nil)
	}
	return stubs
}
