package pki

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"

	"cordon/store"
)

// RevokeRequest ends certificates before their time.
type RevokeRequest struct {
	Name        string
	Fingerprint string // only the certificate whose fingerprint begins so; "": all valid ones of the name
	Older       bool   // only those older than the newest, after a renewal
	By          string
	Reason      string
}

// Revoke puts certificates on the list, for good, and returns them. Where the list
// cannot be written, the revocation is recorded all the same and the error says so.
func (p *PKI) Revoke(ctx context.Context, r RevokeRequest) ([]Certificate, error) {
	by, err := checkBy(r.By)
	if err != nil {
		return nil, err
	}
	r.By, r.Reason = by, strings.TrimSpace(r.Reason)
	if r.Reason == "" || len(r.Reason) > maxReason {
		return nil, fmt.Errorf("%w: why? a reason of at most %d bytes is needed (--reason TEXT)", ErrRequest, maxReason)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	authority, err := p.authority(ctx)
	if err != nil {
		return nil, err
	}
	chosen, err := p.choose(ctx, authority, r)
	if err != nil {
		return nil, err
	}
	if err := p.recordRevoked(ctx, chosen, r); err != nil {
		return nil, fmt.Errorf("not recorded, so nothing is revoked: %w", err)
	}
	if p.settle(ctx); p.problem != nil {
		return chosen, fmt.Errorf("recorded as revoked, but the list could not be written, and devices are still admitted until it is: %w", p.problem)
	}
	return chosen, nil
}

// choose finds what a request is about.
func (p *PKI) choose(ctx context.Context, authority Certificate, r RevokeRequest) ([]Certificate, error) {
	kind := Device
	if r.Name == GatewayName {
		kind = Gateway
	}
	all, err := p.of(ctx, authority, kind, r.Name)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: nothing was ever issued to %q; see cordon pki list", ErrState, r.Name)
	}
	var valid, out []Certificate
	for _, c := range all {
		if c.State == Valid {
			valid = append(valid, c)
		}
	}
	for i, c := range valid {
		if strings.HasPrefix(c.Fingerprint, strings.ToLower(strings.ReplaceAll(r.Fingerprint, ":", ""))) && !(r.Older && i == len(valid)-1) {
			out = append(out, c)
		}
	}
	switch {
	case len(out) == 0:
		return nil, fmt.Errorf("%w: %s has no such certificate that is valid; see cordon pki list --all", ErrState, r.Name)
	case r.Fingerprint != "" && len(out) > 1:
		return nil, fmt.Errorf("%w: %d fingerprints begin so; write more of it", ErrRequest, len(out))
	}
	return out, nil
}

func (p *PKI) recordRevoked(ctx context.Context, cs []Certificate, r RevokeRequest) error {
	now := time.Now()
	return p.db.Update(ctx, func(tx *store.Tx) error {
		for i := range cs {
			body := cs[i].describe(r.By)
			body["reason"] = r.Reason
			if err := p.journal.Append(tx, "pki.revoked", body); err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE pki_certificate SET revoked_at = ?, reason = ? WHERE id = ?`, now.Unix(), r.Reason, cs[i].id); err != nil {
				return err
			}
			cs[i].State, cs[i].RevokedAt, cs[i].Reason = Revoked, now, r.Reason
		}
		return nil
	})
}

// How long a list is good for, and when Run signs the next one.
const (
	listLife  = 14 * 24 * time.Hour
	listAnew  = 24 * time.Hour
	listEarly = time.Hour // its beginning lies so far back: devices' clocks are off
)

// SignList signs the list anew now, however young it is.
func (p *PKI) SignList(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	authority, err := p.authority(ctx)
	if err != nil {
		return err
	}
	revoked, err := p.revokedBy(ctx, authority)
	if err != nil {
		return err
	}
	p.problem = p.sign(ctx, authority, revoked, p.readList(authority))
	return p.problem
}

// refresh signs the list if it is not what the rows ask for, or a day old.
func (p *PKI) refresh(ctx context.Context, authority Certificate) error {
	revoked, err := p.revokedBy(ctx, authority)
	if err != nil {
		return err
	}
	last := p.readList(authority)
	if last != nil && lists(last, revoked) && time.Since(last.ThisUpdate) < listAnew+listEarly {
		return nil
	}
	return p.sign(ctx, authority, revoked, last)
}

func (p *PKI) revokedBy(ctx context.Context, authority Certificate) ([]Certificate, error) {
	all, err := p.rows(ctx)
	if err != nil {
		return nil, err
	}
	var out []Certificate
	for _, c := range all {
		if c.issuer == authority.id && c.State == Revoked {
			out = append(out, c)
		}
	}
	return out, nil
}

// readList reads the list in the directory; nil if it is none of the authority's.
func (p *PKI) readList(authority Certificate) *x509.RevocationList {
	text, err := os.ReadFile(p.path("crl.pem"))
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	crl, err := x509.ParseRevocationList(block.Bytes)
	if err != nil || crl.CheckSignatureFrom(authority.cert) != nil {
		return nil
	}
	return crl
}

// lists reports whether the list has these certificates on it and no others.
func lists(crl *x509.RevocationList, revoked []Certificate) bool {
	on := map[string]bool{}
	for _, e := range crl.RevokedCertificateEntries {
		on[e.SerialNumber.Text(16)] = true
	}
	for _, c := range revoked {
		if !on[c.Serial] {
			return false
		}
	}
	return len(on) == len(revoked)
}

// sign writes a list after last, which may be nil. Its record follows the file: a
// list that is there without one says nothing that the rows do not.
func (p *PKI) sign(ctx context.Context, authority Certificate, revoked []Certificate, last *x509.RevocationList) error {
	key, err := p.key(authority)
	if err != nil {
		return err
	}
	now := time.Now()
	crl := &x509.RevocationList{Number: big.NewInt(now.UnixMicro()), ThisUpdate: now.Add(-listEarly), NextUpdate: now.Add(listLife)}
	if last != nil && last.Number != nil && last.Number.Cmp(crl.Number) >= 0 {
		crl.Number = new(big.Int).Add(last.Number, big.NewInt(1)) // the clock was set back
	}
	for _, c := range revoked {
		crl.RevokedCertificateEntries = append(crl.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.cert.SerialNumber, RevocationTime: c.RevokedAt})
	}
	der, err := x509.CreateRevocationList(rand.Reader, crl, authority.cert, key)
	if err != nil {
		return err
	}
	if err := store.WriteFile(p.path("crl.pem"), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644); err != nil {
		return err
	}
	return p.db.Update(ctx, func(tx *store.Tx) error {
		return p.journal.Append(tx, "pki.list_signed", map[string]any{
			"number": crl.Number.String(), "revoked": len(revoked), "until": crl.NextUpdate.UTC().Format(time.RFC3339),
		})
	})
}
