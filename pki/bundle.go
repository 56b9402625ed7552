package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"software.sslmate.com/src/go-pkcs12"
)

// PKCS12 puts a key, its certificate and the authority's into one file for vendors
// whose devices import such. Older devices read only the legacy encryption (triple
// DES, SHA-1). With either the derivation from the password is quick, so that only
// one from a random source, such as rand.Text, protects the key.
func (i Issued) PKCS12(key crypto.Signer, password string, legacy bool) ([]byte, error) {
	if password == "" {
		return nil, errors.New("a PKCS #12 file needs a password")
	}
	cert, err := parsePEM(i.PEM)
	if err != nil {
		return nil, err
	}
	authority, err := parsePEM(i.Authority)
	if err != nil {
		return nil, err
	}
	encoder := pkcs12.Modern2023
	if legacy {
		encoder = pkcs12.LegacyDES
	}
	return encoder.Encode(key, cert, []*x509.Certificate{authority}, password)
}

func parsePEM(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
