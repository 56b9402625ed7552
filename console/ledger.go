package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/custody"
	"cordon/ledger"
	"cordon/people"
)

// ledgerRoutes are those of the ledger.
func (c *Console) ledgerRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/ledger", May: people.LedgerRead, Handler: c.ledgerTail, Doc: route.Doc{
			Summary: "The last records of the ledger, the oldest first; that somebody read them is recorded", Response: ledger.Record{}, Lines: true,
			Query: []route.Param{{Name: "n", Summary: "how many: 1 to 10000, 20 if it is left out", Example: "5"}}}},
		{Method: "GET", Pattern: "/api/v1/ledger/export", May: people.LedgerRead, Handler: c.ledgerExport, Doc: route.Doc{
			Summary: "The whole ledger as one file that anybody can verify", Media: "application/octet-stream"}},
		{Method: "GET", Pattern: "/api/v1/ledger/prove", May: people.LedgerRead, Handler: c.ledgerProve, Doc: route.Doc{
			Summary: "A proof of some records", Media: "application/octet-stream",
			Query: []route.Param{{Name: "seq", Summary: "the number of a record; may be given again", Example: "0"}}}},
		{Method: "GET", Pattern: "/api/v1/ledger/checkpoint", May: people.LedgerRead, Handler: c.ledgerCheckpoint, Doc: route.Doc{
			Summary: "The signed checkpoint of all records", Media: "text/plain"}},
		{Method: "GET", Pattern: "/api/v1/ledger/key", May: people.LedgerRead, Handler: c.ledgerKey, Doc: route.Doc{
			Summary: "The keys that verify what the ledger signs", Response: LedgerKeys{}}},
		{Method: "POST", Pattern: "/api/v1/ledger/rotate-key", May: people.OperateChange, Fresh: true, Handler: c.ledgerRotate, Doc: route.Doc{
			Summary: "Replace the ledger's key", Request: VaultRequest{}, Response: LedgerKeys{}, Example: VaultRequest{By: "A. Able", Reason: "yearly"}}},
		{Method: "POST", Pattern: "/api/v1/ledger/erase", May: people.OperateChange, Fresh: true, Handler: c.ledgerErase, Doc: route.Doc{
			Summary: "Erase what was sealed about one patient", Request: EraseRequest{}, Response: Erased{}, Example: EraseRequest{By: "A. Able", Reason: "asked to", Patient: "4711"}}},
		{Method: "POST", Pattern: "/api/v1/ledger/verified", May: people.LedgerRead, Asserted: true, Handler: c.ledgerVerified, Doc: route.Doc{
			Summary: "Record what a verification of the ledger found", Request: Verified{}, Response: Verified{}, Example: Verified{Intact: true, Records: 12}}},
	}
}

// MaxTail bounds what one request reads from the ledger's end; an export has
// all of it.
const MaxTail = 10000

// ledgerTail writes the last ?n=20 records, the oldest first. That somebody read
// them is recorded after the last of them.
func (c *Console) ledgerTail(w http.ResponseWriter, r *http.Request) {
	n := 20
	if text := r.URL.Query().Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > MaxTail {
			answer.Refuse(w, fmt.Errorf("%w: n is a number from 1 to %d", answer.ErrRequest, MaxTail))
			return
		}
	}
	end, err := c.parts.Ledger.Size(r.Context())
	if err == nil {
		err = c.ledgerRead(r, "tail", map[string]any{"records": min(end, int64(n))})
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	out := answer.NewLines(w)
	written := false
	err = c.parts.Ledger.Scan(r.Context(), max(0, end-int64(n)), end, func(rec ledger.Record) error {
		written = true
		return out.Write(rec)
	})
	switch {
	case err == nil:
	case !written:
		answer.Refuse(w, err)
	default:
		panic(http.ErrAbortHandler) // cut, so that the part is not taken for the whole
	}
}

// ledgerRead records that somebody reads the ledger, before they do.
func (c *Console) ledgerRead(r *http.Request, how string, body map[string]any) error {
	body["how"], body["by"] = how, answer.Caller(r)
	return c.parts.Ledger.Record(r.Context(), "ledger.read", body)
}

// ledgerExport writes the whole ledger as one canonical file.
func (c *Console) ledgerExport(w http.ResponseWriter, r *http.Request) {
	if err := c.ledgerRead(r, "export", map[string]any{}); err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	out := answer.NewStream(w)
	out.End(c.parts.Ledger.Export(r.Context(), out))
}

// ledgerProve writes a proof of the records ?seq=N&seq=M.
func (c *Console) ledgerProve(w http.ResponseWriter, r *http.Request) {
	var numbers []int64
	for _, text := range r.URL.Query()["seq"] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			answer.Refuse(w, fmt.Errorf("%w: seq is the number of a record", answer.ErrRequest))
			return
		}
		numbers = append(numbers, n)
	}
	err := c.ledgerRead(r, "prove", map[string]any{"records": len(numbers)})
	var proof strings.Builder
	if err == nil {
		err = c.parts.Ledger.Prove(r.Context(), &proof, numbers...)
	}
	if err != nil {
		answer.Refuse(w, fmt.Errorf("%w: %w", answer.ErrRequest, err))
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	io.WriteString(w, proof.String())
}

// ledgerCheckpoint writes the signed checkpoint of all there is.
func (c *Console) ledgerCheckpoint(w http.ResponseWriter, r *http.Request) {
	signed, err := c.parts.Ledger.Checkpoint(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, signed)
}

// LedgerKeys are the keys by which others know this Cordon's word.
type LedgerKeys struct {
	Key         string `json:"key"` // verifier key of the ledger
	Fingerprint string `json:"fingerprint"`
	Witness     string `json:"witness,omitempty"` // verifier key of the cosignatures, where this Cordon is a witness
}

func (c *Console) ledgerKey(w http.ResponseWriter, _ *http.Request) {
	answer.JSON(w, LedgerKeys{c.parts.Ledger.Key(), c.parts.Ledger.Fingerprint(), c.parts.WitnessKey})
}

// ledgerRotate replaces the ledger's key.
func (c *Console) ledgerRotate(w http.ResponseWriter, r *http.Request) {
	var rq VaultRequest
	err := answer.Read(w, r, &rq)
	var who custody.Request
	if err == nil {
		who, err = rq.custody().Check()
	}
	if err == nil {
		_, err = c.parts.Ledger.RotateKey(r.Context(), who.By, who.Reason)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	c.ledgerKey(w, r)
}

// EraseRequest names whose data to erase.
type EraseRequest struct {
	By      string `json:"by"`
	Reason  string `json:"reason"`
	Patient string `json:"patient,omitempty"` // Patient ID (0010,0020)
	Issuer  string `json:"issuer,omitempty"`  // Issuer of Patient ID (0010,0021)
	Study   string `json:"study,omitempty"`   // Study Instance UID, where there was no Patient ID
}

// Asserted is the name that it is made under.
func (r *EraseRequest) Asserted() *string { return &r.By }

// Erased says whether there was anything to erase.
type Erased struct {
	Erased bool `json:"erased"`
}

// ledgerErase erases what was sealed about one patient. Neither the request nor
// its record says who that was.
func (c *Console) ledgerErase(w http.ResponseWriter, r *http.Request) {
	var rq EraseRequest
	if err := answer.Read(w, r, &rq); err != nil {
		answer.Refuse(w, err)
		return
	}
	erased, err := c.erase(r.Context(), rq)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, Erased{erased})
}

func (c *Console) erase(ctx context.Context, rq EraseRequest) (bool, error) {
	who, err := custody.Request{By: rq.By, Reason: rq.Reason}.Check()
	if err != nil {
		return false, err
	}
	if (rq.Patient == "") == (rq.Study == "") {
		return false, fmt.Errorf("%w: name a patient, or a study without one", answer.ErrRequest)
	}
	return c.parts.Ledger.Erase(ctx, ledger.Subject(rq.Patient, rq.Issuer, rq.Study), who.By, who.Reason)
}

// Verified is what a verification of this ledger found.
type Verified struct {
	Intact  bool   `json:"intact"`
	Records int64  `json:"records"`
	Error   string `json:"error,omitempty"`
}

// ledgerVerified records what a verification by a command found.
func (c *Console) ledgerVerified(w http.ResponseWriter, r *http.Request) {
	var v Verified
	err := answer.Read(w, r, &v)
	if err == nil {
		err = c.parts.Ledger.Record(r.Context(), "ledger.verified", map[string]any{
			"how": "verify", "by": answer.Caller(r), "intact": v.Intact, "records": v.Records, "error": clip(v.Error, 300),
		})
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, v)
}

// clip bounds a text that is recorded.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
