package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/secure"
	"cordon/dicom/ul"
)

// peer is an application entity that a command calls.
type peer struct {
	Address string `arg:"" name:"host:port" help:"Where it listens."`
	Calling string `default:"CORDON-SCU" placeholder:"AE" help:"Calling AE title (${default})."`
	Called  string `default:"CORDON" placeholder:"AE" help:"Called AE title (${default})."`
	TLS     bool   `name:"tls" help:"Use TLS, 1.2 or 1.3."`
	CA      string `name:"tls-ca" placeholder:"FILE" help:"PEM certificates that the peer's must be signed by, instead of the system's; implies --tls."`
	Cert    string `name:"tls-cert" placeholder:"FILE" help:"PEM certificate to show to the peer; implies --tls."`
	Key     string `name:"tls-key" placeholder:"FILE" help:"PEM key of --tls-cert."`
	CRL     string `name:"tls-crl" placeholder:"FILE" help:"Revocation lists of --tls-ca, PEM or DER."`
	Host    string `name:"tls-name" placeholder:"NAME" help:"Name or address that the peer's certificate is for, if it is not the one called; implies --tls."`
}

// dial requests an association with the given contexts. Whatever goes wrong
// means that there is none: exit code 2.
func (p peer) dial(ctx context.Context, contexts []ul.ProposedContext) (*dimse.Conn, error) {
	rq, err := p.request(contexts)
	if err != nil {
		return nil, failure{2, err}
	}
	config, err := p.tls()
	if err != nil {
		return nil, failure{2, err}
	}
	a, err := ul.Dial(ctx, p.Address, config, rq, ul.Limits{})
	if err != nil {
		return nil, failure{2, fmt.Errorf("no association with %s: %w%s", p.Address, err, p.advice(err))}
	}
	return dimse.NewConn(a), nil
}

func (p peer) request(contexts []ul.ProposedContext) (ul.Request, error) {
	if why := badAddress(p.Address, false); why != "" {
		return ul.Request{}, fmt.Errorf("%q: %s; write HOST:PORT, such as 127.0.0.1:11112", p.Address, why)
	}
	calling, err := dicom.ParseAETitle(p.Calling)
	if err != nil {
		return ul.Request{}, fmt.Errorf("--calling: %w", err)
	}
	called, err := dicom.ParseAETitle(p.Called)
	if err != nil {
		return ul.Request{}, fmt.Errorf("--called: %w", err)
	}
	return ul.Request{Calling: calling, Called: called, Contexts: contexts}, nil
}

// advice says what to do about a rejection.
func (p peer) advice(err error) string {
	var rejection *ul.Rejection
	if !errors.As(err, &rejection) || rejection.Source != ul.RejectSourceUser {
		return ""
	}
	switch rejection.Reason {
	case ul.RejectCalledAETitle:
		return fmt.Sprintf(" (it does not answer to %q: say --called with its AE title)", p.Called)
	case ul.RejectCallingAETitle:
		return fmt.Sprintf(" (it does not know %q: say --calling with a title that it does, or have this one added there)", p.Calling)
	}
	return ""
}

// tls is nil for plain TCP.
func (p peer) tls() (*tls.Config, error) {
	if !p.TLS && p.CA == "" && p.Cert == "" && p.Key == "" && p.CRL == "" && p.Host == "" {
		return nil, nil
	}
	switch {
	case (p.Cert == "") != (p.Key == ""):
		return nil, errors.New("--tls-cert and --tls-key belong together")
	case p.CRL != "" && p.CA == "":
		return nil, errors.New("--tls-crl needs --tls-ca, the authorities that the lists are of")
	}
	end, err := secure.Open(secure.Config{Certificate: p.Cert, Key: p.Key, Authorities: p.CA, CRL: p.CRL, ServerName: p.Host})
	if err != nil {
		return nil, err
	}
	return end.Client(), nil
}
