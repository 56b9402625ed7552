package console

import (
	"context"
	"net/http"

	"cordon/pki"
)

// PKIRequest asks for an authority, a certificate, or the end of one. Each
// request has the fields that it needs.
type PKIRequest struct {
	By          string        `json:"by"` // as asserted
	Name        string        `json:"name,omitempty"`
	CSR         []byte        `json:"csr,omitempty"` // DER; base 64 on the wire
	Hosts       []string      `json:"hosts,omitempty"`
	Days        int           `json:"days,omitempty"`
	Algorithm   pki.Algorithm `json:"algorithm,omitempty"` // of an authority's or the gateway's key
	Years       int           `json:"years,omitempty"`     // of an authority
	Replace     bool          `json:"replace,omitempty"`   // the authority
	Reason      string        `json:"reason,omitempty"`    // of a revocation
	Fingerprint string        `json:"fingerprint,omitempty"`
	Older       bool          `json:"older,omitempty"`
}

// pkiRoutes serves the certificate authority.
func (c *Console) pkiRoutes(mux *http.ServeMux) {
	if c.parts.PKI == nil {
		return
	}
	mux.HandleFunc("GET /api/v1/pki", c.pkiList)
	for action, do := range map[string]func(context.Context, PKIRequest) (any, error){
		"init": c.pkiInit, "enrol": c.pkiEnrol, "renew": c.pkiRenew, "revoke": c.pkiRevoke, "crl": c.pkiSign,
	} {
		mux.HandleFunc("POST /api/v1/pki/"+action, func(w http.ResponseWriter, r *http.Request) {
			var rq PKIRequest
			if err := read(w, r, &rq); err != nil {
				refuse(w, err)
				return
			}
			answer, err := do(r.Context(), rq)
			if err != nil {
				refuse(w, err)
				return
			}
			reply(w, answer)
		})
	}
}

// pkiList writes the certificates, the oldest first; with ?all=true also those
// that are not valid any more.
func (c *Console) pkiList(w http.ResponseWriter, r *http.Request) {
	list, err := c.parts.PKI.List(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		refuse(w, err)
		return
	}
	out := newLines(w)
	for _, one := range list {
		if err := out.write(one); err != nil {
			return // the reader has gone
		}
	}
}

func (c *Console) pkiInit(ctx context.Context, rq PKIRequest) (any, error) {
	return c.parts.PKI.Init(ctx, pki.InitRequest{Site: c.config.Site, Algorithm: rq.Algorithm, Years: rq.Years, Replace: rq.Replace, By: rq.By})
}

func (c *Console) pkiEnrol(ctx context.Context, rq PKIRequest) (any, error) {
	if rq.Name == pki.GatewayName {
		return c.parts.PKI.Gateway(ctx, rq.Algorithm, rq.certificate())
	}
	return c.parts.PKI.Enrol(ctx, rq.certificate())
}

func (c *Console) pkiRenew(ctx context.Context, rq PKIRequest) (any, error) {
	if rq.Name == pki.GatewayName {
		return c.parts.PKI.Gateway(ctx, rq.Algorithm, rq.certificate())
	}
	return c.parts.PKI.Renew(ctx, rq.certificate())
}

func (rq PKIRequest) certificate() pki.Request {
	return pki.Request{Name: rq.Name, CSR: rq.CSR, Hosts: rq.Hosts, Days: rq.Days, By: rq.By}
}

func (c *Console) pkiRevoke(ctx context.Context, rq PKIRequest) (any, error) {
	return c.parts.PKI.Revoke(ctx, pki.RevokeRequest{Name: rq.Name, Fingerprint: rq.Fingerprint, Older: rq.Older, By: rq.By, Reason: rq.Reason})
}

func (c *Console) pkiSign(ctx context.Context, rq PKIRequest) (any, error) {
	return struct{}{}, c.parts.PKI.SignList(ctx)
}
