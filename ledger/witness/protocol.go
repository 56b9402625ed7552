package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"cordon/ledger"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// maxRequest bounds a request, in bytes: a proof and a checkpoint.
	maxRequest = 16 << 10
	// maxProof is the most hashes of a consistency proof (C2SP tlog-witness).
	maxProof = 63
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 4 << 10
)

// formatRequest is the body of add-checkpoint (C2SP tlog-witness).
func formatRequest(old int64, proof []tlog.Hash, signed []byte) []byte {
	out := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		out = fmt.Appendf(out, "%s\n", h)
	}
	return append(append(out, '\n'), signed...)
}

func parseRequest(body []byte) (old int64, proof []tlog.Hash, signed []byte, err error) {
	head, signed, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok || len(body) > maxRequest {
		return 0, nil, nil, errors.New("expected a proof, an empty line and a checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if old, err = strconv.ParseInt(size, 10, 64); err != nil || !ok || old < 0 {
		return 0, nil, nil, errors.New("expected \"old N\" on the first line")
	}
	if len(lines)-1 > maxProof {
		return 0, nil, nil, fmt.Errorf("%d hashes, at most %d", len(lines)-1, maxProof)
	}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return 0, nil, nil, err
		}
		proof = append(proof, h)
	}
	return old, proof, signed, nil
}

// An answer is a status of HTTP and a text.
type answer struct {
	status int
	text   string
}

// sizeType is the Content-Type of a conflict.
const sizeType = "text/x.tlog.size"

// answer runs one request.
func (w *Witness) answer(ctx context.Context, body []byte) answer {
	old, proof, signed, err := parseRequest(body)
	if err != nil {
		return answer{http.StatusBadRequest, err.Error() + "\n"}
	}
	line, err := w.Add(ctx, old, proof, signed)
	var conflict *ledger.Conflict
	switch {
	case err == nil:
		return answer{http.StatusOK, string(line)}
	case errors.As(err, &conflict):
		return answer{http.StatusConflict, strconv.FormatInt(conflict.Size, 10) + "\n"}
	case errors.Is(err, errUnknown):
		return answer{http.StatusNotFound, err.Error() + "\n"}
	case errors.Is(err, ledger.ErrWitnessKey):
		return answer{http.StatusForbidden, err.Error() + "\n"}
	case errors.Is(err, ledger.ErrFork):
		return answer{http.StatusUnprocessableEntity, err.Error() + "\n"}
	}
	return answer{http.StatusInternalServerError, "witness cannot remember now\n"}
}

// read is what a ledger makes of an answer.
func (a answer) read() ([]byte, error) {
	switch a.status {
	case http.StatusOK:
		return []byte(a.text), nil
	case http.StatusConflict:
		size, err := strconv.ParseInt(strings.TrimSuffix(a.text, "\n"), 10, 64)
		if err != nil || size < 0 {
			return nil, errors.New("witness answered a conflict without a size")
		}
		return nil, &ledger.Conflict{Size: size}
	case http.StatusForbidden:
		return nil, ledger.ErrWitnessKey
	case http.StatusUnprocessableEntity:
		return nil, ledger.ErrFork
	case http.StatusNotFound:
		return nil, fmt.Errorf("witness does not know this ledger: add its key to the witness's list (witness.logs)")
	}
	return nil, fmt.Errorf("witness answered %d", a.status)
}
