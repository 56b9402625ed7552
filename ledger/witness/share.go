package witness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cordon/ledger"
	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// A shared folder holds, for each ledger, NAME.ask (a request of the protocol)
// and NAME.answer ("DIGEST STATUS", a line feed, and the answer's text). NAME is
// made of the ledger's origin; DIGEST is the request's SHA-256. Each is replaced
// as a whole.
const (
	askSuffix    = ".ask"
	answerSuffix = ".answer"
	// watchEvery is how often the folder is looked at.
	watchEvery = 2 * time.Second
	// maxAsks bounds the ledgers of one folder.
	maxAsks = 200
)

// Watch answers what is asked in a shared folder until ctx ends. A folder that
// is away is logged once and looked for again.
func (w *Witness) Watch(ctx context.Context, dir string, log *slog.Logger) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	away := false
	for {
		err := w.look(ctx, dir)
		if err != nil && !away && ctx.Err() == nil {
			log.Warn("shared folder of the witness cannot be used", "error", err)
		}
		away = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look answers every request that has no answer yet.
func (w *Witness) look(ctx context.Context, dir string) error {
	asks, err := filepath.Glob(filepath.Join(escaped(dir), "*"+askSuffix))
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	var errs []error
	for _, path := range asks[:min(len(asks), maxAsks)] {
		errs = append(errs, w.answerFile(ctx, path))
	}
	return errors.Join(errs...)
}

// escaped is a folder's name in a pattern of filepath.Glob.
func escaped(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func (w *Witness) answerFile(ctx context.Context, path string) error {
	body, err := readFile(path, maxRequest)
	if err != nil {
		return err
	}
	to := strings.TrimSuffix(path, askSuffix) + answerSuffix
	if _, ok := readAnswer(to, body); ok {
		return nil
	}
	a := w.answer(ctx, body)
	if ctx.Err() != nil || a.status == http.StatusInternalServerError { // of which nothing is to be kept: the next look tries again
		return nil
	}
	return store.WriteFile(to, fmt.Appendf(nil, "%s %d\n%s", digest(body), a.status, a.text), 0o644)
}

// readAnswer reads the answer to a request, if it is there.
func readAnswer(path string, request []byte) (answer, bool) {
	text, err := readFile(path, maxAnswer)
	if err != nil {
		return answer{}, false
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	sum, status, _ := strings.Cut(head, " ")
	code, err := strconv.Atoi(status)
	if err != nil || sum != digest(request) {
		return answer{}, false
	}
	return answer{code, rest}, true
}

// readFile reads a regular file of at most so many bytes.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s is not a request or an answer of a witness", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

func digest(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

// Share is a witness that is reached through a shared folder: a ledger.Witness.
type Share struct {
	Dir   string
	Opens *ledger.WitnessKey
}

// Key opens its cosignatures.
func (s Share) Key() *ledger.WitnessKey { return s.Opens }

// Add leaves the request in the folder and waits for the answer until ctx ends.
// The answer to one that was left before is found at the next attempt.
func (s Share) Add(ctx context.Context, old int64, proof []tlog.Hash, signed []byte) ([]byte, error) {
	origin, _, _ := strings.Cut(string(signed), "\n")
	name := filepath.Join(s.Dir, digest([]byte(origin))[:32])
	request := formatRequest(old, proof, signed)
	if there, err := readFile(name+askSuffix, maxRequest); err != nil || string(there) != string(request) {
		if err := store.WriteFile(name+askSuffix, request, 0o644); err != nil {
			return nil, fmt.Errorf("asking the witness: %w", err)
		}
	}
	tick := time.NewTicker(watchEvery / 4)
	defer tick.Stop()
	for {
		if a, ok := readAnswer(name+answerSuffix, request); ok {
			return a.read()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.New("the witness has not answered in the shared folder yet")
		}
	}
}
