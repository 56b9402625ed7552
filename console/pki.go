package console

import (
	"context"
	"net/http"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
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

// Asserted is the name that it is made under.
func (r *PKIRequest) Asserted() *string { return &r.By }

// pkiRoutes are those of the certificate authority.
func (c *Console) pkiRoutes() []route.Route {
	if c.parts.PKI == nil {
		return nil
	}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/pki", May: people.SettingsRead, Handler: c.pkiList, Doc: route.Doc{
			Summary: "The certificates that were issued, the oldest first", Response: pki.Certificate{}, Lines: true,
			Query: []route.Param{{Name: "all", Summary: "true: also those that are not valid any more", Example: "true"}}}},
		{Method: "POST", Pattern: "/api/v1/pki/init", May: people.OperateChange, Fresh: true, Handler: pkiDo(c.pkiInit), Doc: route.Doc{
			Summary: "Make the certificate authority", Request: PKIRequest{}, Response: pki.Certificate{}, Example: PKIRequest{By: "A. Able", Years: 10}}},
		{Method: "POST", Pattern: "/api/v1/pki/enrol", May: people.OperateChange, Handler: pkiDo(c.pkiEnrol), Doc: route.Doc{
			Summary: "Issue a certificate", Request: PKIRequest{}, Response: pki.Issued{}, Example: PKIRequest{By: "A. Able", Name: pki.GatewayName, Hosts: []string{"cordon.example"}}}},
		{Method: "POST", Pattern: "/api/v1/pki/renew", May: people.OperateChange, Handler: pkiDo(c.pkiRenew), Doc: route.Doc{
			Summary: "Issue a certificate anew", Request: PKIRequest{}, Response: pki.Issued{}, Example: PKIRequest{By: "A. Able", Name: pki.GatewayName, Hosts: []string{"cordon.example"}}}},
		{Method: "POST", Pattern: "/api/v1/pki/revoke", May: people.OperateChange, Fresh: true, Handler: pkiDo(c.pkiRevoke), Doc: route.Doc{
			Summary: "Revoke certificates", Request: PKIRequest{}, Response: []pki.Certificate{}, Example: PKIRequest{By: "A. Able", Name: "CT1", Reason: "the disk was stolen"}}},
		{Method: "POST", Pattern: "/api/v1/pki/crl", May: people.OperateChange, Handler: pkiDo(c.pkiSign), Doc: route.Doc{
			Summary: "Sign the revocation list anew", Request: PKIRequest{}, Response: struct{}{}, Example: PKIRequest{By: "A. Able"}}},
	}
}

// pkiDo answers a request with what do makes of it.
func pkiDo[T any](do func(context.Context, PKIRequest) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq PKIRequest
		err := answer.Read(w, r, &rq)
		var done T
		if err == nil {
			done, err = do(r.Context(), rq)
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, done)
	}
}

// pkiList writes the certificates, the oldest first; with ?all=true also those
// that are not valid any more.
func (c *Console) pkiList(w http.ResponseWriter, r *http.Request) {
	list, err := c.parts.PKI.List(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	out := answer.NewLines(w)
	for _, one := range list {
		if err := out.Write(one); err != nil {
			return // the reader has gone
		}
	}
}

func (c *Console) pkiInit(ctx context.Context, rq PKIRequest) (pki.Certificate, error) {
	return c.parts.PKI.Init(ctx, pki.InitRequest{Site: c.config.Site, Algorithm: rq.Algorithm, Years: rq.Years, Replace: rq.Replace, By: rq.By})
}

func (c *Console) pkiEnrol(ctx context.Context, rq PKIRequest) (pki.Issued, error) {
	if rq.Name == pki.GatewayName {
		return c.parts.PKI.Gateway(ctx, rq.Algorithm, rq.certificate())
	}
	return c.parts.PKI.Enrol(ctx, rq.certificate())
}

func (c *Console) pkiRenew(ctx context.Context, rq PKIRequest) (pki.Issued, error) {
	if rq.Name == pki.GatewayName {
		return c.parts.PKI.Gateway(ctx, rq.Algorithm, rq.certificate())
	}
	return c.parts.PKI.Renew(ctx, rq.certificate())
}

func (rq PKIRequest) certificate() pki.Request {
	return pki.Request{Name: rq.Name, CSR: rq.CSR, Hosts: rq.Hosts, Days: rq.Days, By: rq.By}
}

func (c *Console) pkiRevoke(ctx context.Context, rq PKIRequest) ([]pki.Certificate, error) {
	return c.parts.PKI.Revoke(ctx, pki.RevokeRequest{Name: rq.Name, Fingerprint: rq.Fingerprint, Older: rq.Older, By: rq.By, Reason: rq.Reason})
}

func (c *Console) pkiSign(ctx context.Context, _ PKIRequest) (struct{}, error) {
	return struct{}{}, c.parts.PKI.SignList(ctx)
}
