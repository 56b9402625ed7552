package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Verify reads an export to its end. Any error means that the file is not, to
// the bit, what a ledger exported; a nil error means what Result.Proves says.
// Its memory does not depend on the export's length.
func Verify(r io.Reader, o VerifyOptions) (Result, error) {
	in := bufio.NewReaderSize(r, maxLine+2)
	h, err := readHeader(in)
	if err != nil {
		return Result{}, err
	}
	t, err := h.tally(o)
	if err != nil {
		return Result{}, fmt.Errorf("header: %w", err)
	}
	cosigned := h.Cosigned
	for t.tree.size < h.Records {
		line, err := readLine(in)
		if err == nil {
			_, err = t.add(line)
		}
		if err == nil && t.tree.size < h.Records {
			cosigned, err = t.openCosigned(cosigned)
		}
		if err != nil {
			return Result{}, fmt.Errorf("record %d: %w", t.tree.size, err)
		}
	}
	if len(cosigned) > 0 {
		return Result{}, fmt.Errorf("header: cosigned checkpoints: %w", errNotCanonical)
	}
	signed, err := io.ReadAll(io.LimitReader(in, maxNote+1))
	if err != nil {
		return Result{}, err
	}
	if len(signed) > maxNote {
		return Result{}, fmt.Errorf("after record %d: more than a checkpoint", h.Records-1)
	}
	c, _, err := t.open(signed)
	if err != nil {
		return Result{}, err
	}
	if len(t.found.Cosigned) != len(t.witnesses) {
		return Result{}, errors.New("checkpoint: a witness that the header names has not cosigned: its signature was taken off")
	}
	return t.result(c, signed)
}

// openCosigned checks the first of the checkpoints in the header if it is that
// of the records so far.
func (t *tally) openCosigned(cosigned []string) ([]string, error) {
	if len(cosigned) == 0 {
		return nil, nil
	}
	c, err := unverified([]byte(cosigned[0]))
	if err != nil || c.size != t.tree.size {
		return cosigned, err
	}
	_, _, err = t.open([]byte(cosigned[0]))
	return cosigned[1:], err
}

// header is the first line of an export of format 2.
type header struct {
	Cosigned  []string `json:"cosigned"` // signed notes, each the last that some witness cosigned, by size; without the file's last checkpoint
	Format    int      `json:"cordon-ledger"`
	Key       string   `json:"key"` // verifier key of the first that signed
	Records   int64    `json:"records"`
	Witnesses []string `json:"witnesses"` // verifier keys
}

// header1 is that of format 1: no witness, one key.
type header1 struct {
	Format  int    `json:"cordon-ledger"`
	Key     string `json:"key"`
	Records int64  `json:"records"`
}

// exportFormat is the Format that we write; we read 1 and 2.
const exportFormat = 2

func (h header) encode() ([]byte, error) {
	if h.Format == 1 {
		return canonical(header1{h.Format, h.Key, h.Records})
	}
	return canonical(h)
}

// tally begins the verification of what follows the header.
func (h header) tally(o VerifyOptions) (*tally, error) {
	v, err := parseVerifier(h.Key)
	if err != nil {
		return nil, err
	}
	witnesses, err := parseWitnesses(h.Witnesses)
	if err != nil {
		return nil, err
	}
	return newTally(v, witnesses, o)
}

func parseWitnesses(vkeys []string) (out []*WitnessKey, err error) {
	for _, vkey := range vkeys {
		w, err := ParseWitnessKey(vkey)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

func readHeader(in *bufio.Reader) (h header, err error) {
	line, err := readLine(in)
	if err != nil {
		return h, fmt.Errorf("not a ledger export: %w", err)
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, fmt.Errorf("not a ledger export: %w", err)
	}
	if h.Format < 1 || h.Format > exportFormat {
		return h, fmt.Errorf("ledger export of format %d: this Cordon reads formats 1 to %d", h.Format, exportFormat)
	}
	again, err := h.encode()
	if err != nil || !bytes.Equal(again, line) {
		return h, fmt.Errorf("header: %w", errNotCanonical)
	}
	if h.Records < 1 {
		return h, fmt.Errorf("header: %d records", h.Records)
	}
	return h, nil
}

// maxLine bounds a line of an export: the header may hold a checkpoint of each
// of maxWitnesses witnesses.
const maxLine = maxRecord

// readLine returns a line without its line feed, valid until the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("a line of more than %d bytes", maxLine)
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the file was cut off here: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return nil, err
	}
	return line[:len(line)-1], nil
}
