package ledger

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"

	"cordon/store"
)

// unverified reads a checkpoint without opening its signatures.
func unverified(signed []byte) (checkpoint, error) {
	text, _, ok := strings.Cut(string(signed), "\n\n")
	if !ok || len(signed) > maxNote {
		return checkpoint{}, errors.New("not a signed checkpoint")
	}
	return parseCheckpoint(text + "\n")
}

// ownSignature returns a signed checkpoint without the lines of witnesses.
func ownSignature(signed []byte) ([]byte, error) {
	text, sigs, ok := bytes.Cut(signed, []byte("\n\n"))
	first, _, ok2 := bytes.Cut(sigs, []byte("\n"))
	if !ok || !ok2 {
		return nil, errors.New("not a signed checkpoint")
	}
	return fmt.Appendf(nil, "%s\n\n%s\n", text, first), nil
}

// ReadCheckpoint returns the signed checkpoint that a file is, or that ends an
// export or a proof, for VerifyOptions.Since. An export and a proof are verified
// first.
func ReadCheckpoint(r io.Reader) ([]byte, error) {
	in := bufio.NewReaderSize(r, maxLine+2)
	start, err := in.Peek(len(exportStart))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch string(start) {
	case exportStart:
		result, err := Verify(in, VerifyOptions{})
		return []byte(result.Checkpoint), err
	case proofStart:
		result, err := VerifyProof(in, VerifyOptions{})
		return []byte(result.Checkpoint), err
	}
	signed, err := io.ReadAll(io.LimitReader(in, maxNote+1))
	if err != nil {
		return nil, err
	}
	_, err = unverified(signed)
	return signed, err
}

// How the files begin, as far as tells them apart; all of one length.
const (
	exportStart = `{"cordon-ledger":`
	proofStart  = `{"cordon-proof":1`
)

// Differ returns the number of the first record in which two exports of the
// same ledger differ: where a fork begins. If one ends before they do, it is
// that one's length.
func Differ(a, b io.Reader) (int64, error) {
	one, two := bufio.NewReaderSize(a, maxLine+2), bufio.NewReaderSize(b, maxLine+2)
	g, err := readHeader(one)
	if err != nil {
		return 0, err
	}
	h, err := readHeader(two)
	if err != nil {
		return 0, err
	}
	end := min(g.Records, h.Records)
	for n := range end {
		x, err := leafOf(one)
		if err != nil {
			return n, err
		}
		y, err := leafOf(two)
		if err != nil {
			return n, err
		}
		if !bytes.Equal(x, y) {
			return n, nil
		}
	}
	return end, nil
}

// leafOf reads a record; what is left of it once it is pruned is the same.
func leafOf(in *bufio.Reader) ([]byte, error) {
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	r, err := decode(line)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(r.leaf(line)), nil
}

// ReadRecord returns one record of an export that Verify has accepted.
func ReadRecord(r io.Reader, number int64) (*Record, error) {
	in := bufio.NewReaderSize(r, maxLine+2)
	h, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	if number < 0 || number >= h.Records {
		return nil, fmt.Errorf("no record %d: they are 0 to %d", number, h.Records-1)
	}
	var line []byte
	for range number + 1 {
		if line, err = readLine(in); err != nil {
			return nil, err
		}
	}
	record, err := decode(line)
	return &record, err
}

// LastCheckpoint returns the last signed checkpoint, for a database that may be
// open read-only.
func LastCheckpoint(ctx context.Context, db *store.DB) (string, error) {
	var last signedCheckpoint
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		last, err = lastCheckpoint(tx)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = errors.New("nothing has been signed yet")
	}
	return string(last.note), err
}

// ReadRecords calls fn for the records of an export that Verify has accepted,
// from that number on, in order.
func ReadRecords(r io.Reader, from int64, fn func(Record) error) error {
	in := bufio.NewReaderSize(r, maxLine+2)
	h, err := readHeader(in)
	if err != nil {
		return err
	}
	for n := range h.Records {
		line, err := readLine(in)
		if err != nil {
			return err
		}
		if n < from {
			continue
		}
		record, err := decode(line)
		if err == nil {
			err = fn(record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
