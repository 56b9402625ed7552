// Package npm installs packages of JavaScript that tests run beside Cordon.
package npm

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Install makes a directory with the files and the packages that their
// package-lock.json pins, with the digests against which npm checks each. It is kept
// in the user's cache from run to run, and never changed: tests of several programs
// use it at once. Install scripts do not run.
func Install(name string, files fs.FS) (string, error) {
	digest, err := digestOf(files)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	all := filepath.Join(cache, "cordon-interop")
	dir := filepath.Join(all, fmt.Sprintf("%s-%.16x", name, digest))
	if there(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(all, 0o755); err != nil {
		return "", err
	}
	begun, err := os.MkdirTemp(all, name+"-begun-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(begun)
	if err := os.CopyFS(begun, files); err != nil {
		return "", err
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = begun
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci (npm is Debian's package npm; make peers installs it): %w\n%s", err, out)
	}
	if err := os.Rename(begun, dir); err != nil && !there(dir) { // else others were first
		return "", err
	}
	return dir, nil
}

func there(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// digestOf is one of all files and their names.
func digestOf(files fs.FS) ([]byte, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		fmt.Fprintf(h, "%q %d\n%s", path, len(text), text)
		return err
	})
	return h.Sum(nil), err
}
