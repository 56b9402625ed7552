package pki

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"cordon/store"
)

// rows reads every certificate.
func (p *PKI) rows(ctx context.Context) ([]Certificate, error) {
	var out []Certificate
	err := p.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, kind, name, issuer, der, revoked_at, reason FROM pki_certificate ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind, name, reason string
			var id, issuer, revoked int64
			var der []byte
			if err := rows.Scan(&id, &kind, &name, &issuer, &der, &revoked, &reason); err != nil {
				return err
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return fmt.Errorf("certificate %d: %w", id, err)
			}
			c := certificate(Kind(kind), name, cert)
			c.id, c.issuer, c.Reason = id, issuer, reason
			if revoked != 0 {
				c.State, c.RevokedAt = Revoked, time.Unix(revoked, 0).UTC()
			}
			out = append(out, c)
		}
		return rows.Err()
	})
	return out, err
}

// authority is the one in use.
func (p *PKI) authority(ctx context.Context) (Certificate, error) {
	all, err := p.rows(ctx)
	if err != nil {
		return Certificate{}, err
	}
	for _, c := range all {
		if c.Kind == Authority && c.State != Revoked {
			return c, nil
		}
	}
	return Certificate{}, fmt.Errorf("%w: there is no certificate authority here; make one with cordon pki init", ErrState)
}

// of returns the certificates of a name that the authority has issued.
func (p *PKI) of(ctx context.Context, authority Certificate, kind Kind, name string) ([]Certificate, error) {
	all, err := p.rows(ctx)
	if err != nil {
		return nil, err
	}
	var out []Certificate
	for _, c := range all {
		if c.Kind == kind && c.Name == name && c.issuer == authority.id {
			out = append(out, c)
		}
	}
	return out, nil
}

// insert adds a certificate and its record in one transaction.
func (p *PKI) insert(ctx context.Context, c Certificate, record, by string, more ...func(*store.Tx) error) error {
	return p.db.Update(ctx, func(tx *store.Tx) error {
		for _, f := range more {
			if err := f(tx); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO pki_certificate (kind, name, issuer, serial, der) VALUES (?, ?, ?, ?, ?)`,
			string(c.Kind), c.Name, c.issuer, c.Serial, c.cert.Raw); err != nil {
			return err
		}
		return p.journal.Append(tx, record, c.describe(by))
	})
}
