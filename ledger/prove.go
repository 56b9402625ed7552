package ledger

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// maxProved bounds the records of one proof.
const maxProved = 1000

// proofHeader is the first line of a proof: see the package comment.
type proofHeader struct {
	Format        int      `json:"cordon-proof"`
	Introductions []string `json:"introductions"` // signed notes, by which each key names the next
	Key           string   `json:"key"`           // verifier key of the first that signed
	Records       int      `json:"records"`       // in this file
	Witnesses     []string `json:"witnesses"`     // verifier keys
}

const proofFormat = 1

// Prove signs what there is, gives the witnesses a moment to cosign it, and
// writes the records of those numbers to w with what proves that the ledger
// holds them: a file of its own that VerifyProof checks.
func (l *Ledger) Prove(ctx context.Context, w io.Writer, numbers ...int64) error {
	if _, err := l.Checkpoint(ctx); err != nil {
		return err
	}
	l.cosignNow(ctx)
	return Prove(ctx, l.db, w, numbers...)
}

// Prove is Ledger.Prove for records that are signed already; the database may be
// open read-only. The proof is to the last checkpoint that a witness has
// cosigned, if that covers the records, else to the last one.
func Prove(ctx context.Context, db *store.DB, w io.Writer, numbers ...int64) error {
	numbers = slices.Compact(slices.Sorted(slices.Values(numbers)))
	if len(numbers) == 0 || len(numbers) > maxProved {
		return fmt.Errorf("proving: %d records, expected 1 to %d", len(numbers), maxProved)
	}
	var out bytes.Buffer
	err := db.View(ctx, func(tx *store.Tx) error { return prove(tx, &out, numbers) })
	if errors.Is(err, sql.ErrNoRows) {
		err = errors.New("nothing has been signed yet")
	}
	if err != nil {
		return fmt.Errorf("proving: %w", err)
	}
	_, err = out.WriteTo(w)
	return err
}

func prove(tx *store.Tx, out *bytes.Buffer, numbers []int64) error {
	size, signed, witnesses, err := proofCheckpoint(tx, numbers[len(numbers)-1])
	if err != nil {
		return err
	}
	h := proofHeader{Format: proofFormat, Records: len(numbers), Introductions: []string{}, Witnesses: witnesses}
	if err := proofKeys(tx, size, &h); err != nil {
		return err
	}
	head, err := canonical(h)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", head)
	for _, n := range numbers {
		if n < 0 || n >= size {
			return fmt.Errorf("no signed record %d: they are 0 to %d", n, size-1)
		}
		lines, err := records(tx, n, n+1)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(size, n, hashes(tx))
		if err != nil {
			return err
		}
		path, err := canonical(hashTexts(proof))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n%s\n", lines[0], path)
	}
	_, err = out.Write(signed)
	return err
}

// proofCheckpoint chooses the checkpoint that a proof of record n leads to.
func proofCheckpoint(tx *store.Tx, n int64) (size int64, signed []byte, witnesses []string, err error) {
	last, err := lastCheckpoint(tx)
	if err != nil {
		return 0, nil, nil, err
	}
	cosigned, err := lastCosignatures(tx, last.size)
	if err != nil {
		return 0, nil, nil, err
	}
	witnesses = []string{}
	at := slices.MaxFunc(append(cosigned, storedCosignature{}), func(a, b storedCosignature) int { return int(a.size - b.size) }).size
	if at <= n {
		return last.size, last.note, witnesses, nil
	}
	for _, c := range cosigned {
		if c.size == at {
			witnesses = append(witnesses, c.witness)
		}
	}
	signed, err = cosignedNote(tx, at, cosigned)
	return at, signed, witnesses, err
}

// proofKeys adds the keys that lead to the one that signed the tree of that
// size.
func proofKeys(tx *store.Tx, size int64, h *proofHeader) (err error) {
	if h.Key, err = firstKey(tx); err != nil {
		return err
	}
	rows, err := tx.Query(`SELECT introduction FROM ledger_keys WHERE since > 0 AND since <= ? ORDER BY since`, size)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var introduction string
		if err := rows.Scan(&introduction); err != nil {
			return err
		}
		h.Introductions = append(h.Introductions, introduction)
	}
	return rows.Err()
}

func hashTexts(proof []tlog.Hash) []any {
	out := []any{}
	for _, h := range proof {
		out = append(out, h.String())
	}
	return out
}

// VerifyProof reads a proof to its end. A nil error means what Result.Proves
// says; Result.Proved are the records.
func VerifyProof(r io.Reader, o VerifyOptions) (ProofResult, error) {
	in := bufio.NewReaderSize(r, maxLine+2)
	h, t, err := readProofHeader(in, o)
	if err != nil {
		return ProofResult{}, err
	}
	var found []provedRecord
	for range h.Records {
		p, err := readProved(in)
		if err != nil {
			return ProofResult{}, fmt.Errorf("proof of a record: %w", err)
		}
		if n := len(found); n > 0 && found[n-1].record.Seq >= p.record.Seq {
			return ProofResult{}, fmt.Errorf("record %d: %w", p.record.Seq, errNotCanonical)
		}
		found = append(found, p)
	}
	signed, err := io.ReadAll(io.LimitReader(in, maxNote+1))
	if err != nil {
		return ProofResult{}, err
	}
	c, cosigned, err := openCheckpoint(signed, t.verifier, t.witnesses)
	if err != nil {
		return ProofResult{}, err
	}
	if c.next != "" || len(cosigned) != len(t.witnesses) {
		return ProofResult{}, fmt.Errorf("checkpoint: %w", errNotCanonical)
	}
	for _, p := range found {
		if err := tlog.CheckRecord(p.path, c.size, c.root, p.record.Seq, tlog.RecordHash(p.leaf)); err != nil {
			return ProofResult{}, fmt.Errorf("record %d is not what was signed: %w", p.record.Seq, err)
		}
	}
	for _, sig := range cosigned {
		t.cosigned(CosignedRecords{Cosignature: sig, Records: c.size})
	}
	return t.proved(c, signed, found)
}

type provedRecord struct {
	record Record
	leaf   []byte
	path   tlog.RecordProof
}

// readProved reads a record and the line of hashes after it.
func readProved(in *bufio.Reader) (p provedRecord, err error) {
	line, err := readLine(in)
	if err != nil {
		return p, err
	}
	if p.record, err = decode(line); err != nil {
		return p, err
	}
	p.leaf = bytes.Clone(p.record.leaf(line))
	if line, err = readLine(in); err != nil {
		return p, err
	}
	var texts []string
	if err := json.Unmarshal(line, &texts); err != nil {
		return p, err
	}
	for _, text := range texts {
		h, err := tlog.ParseHash(text)
		if err != nil {
			return p, err
		}
		p.path = append(p.path, h)
	}
	again, err := canonical(hashTexts(p.path))
	if err != nil || !bytes.Equal(again, line) {
		return p, errNotCanonical
	}
	return p, nil
}

// readProofHeader reads it and follows the keys to the one that signed.
func readProofHeader(in *bufio.Reader, o VerifyOptions) (h proofHeader, t *tally, err error) {
	line, err := readLine(in)
	if err != nil {
		return h, nil, fmt.Errorf("not a proof: %w", err)
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, fmt.Errorf("not a proof: %w", err)
	}
	if h.Format != proofFormat {
		return h, nil, fmt.Errorf("proof of format %d: this Cordon reads format %d", h.Format, proofFormat)
	}
	again, err := canonical(h)
	if err != nil || !bytes.Equal(again, line) || h.Records < 1 || h.Records > maxProved {
		return h, nil, fmt.Errorf("header: %w", errNotCanonical)
	}
	t, err = header{Key: h.Key, Witnesses: h.Witnesses}.tally(o)
	if err != nil {
		return h, nil, fmt.Errorf("header: %w", err)
	}
	for _, introduction := range h.Introductions {
		if err := t.introduce([]byte(introduction)); err != nil {
			return h, nil, fmt.Errorf("header: %w", err)
		}
	}
	return h, t, nil
}
