package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"cordon/custody"
	"cordon/finding"
)

// form is the body of a request to hold a file.
func form(t *testing.T, parts ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		part, err := w.CreateFormField(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, parts[i+1])
	}
	w.Close()
	return b.String(), w.FormDataContentType()
}

func post(t *testing.T, url, body, contentType string) (int, string) {
	t.Helper()
	rsp, err := http.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rsp.StatusCode, string(text)
}

func importedFile(t *testing.T, content, archive string) string {
	t.Helper()
	text, err := json.Marshal(ImportedFile{
		CallingAE: "CORDON-MEDIA", Archive: archive,
		Bytes: int64(len(content)), SHA256: sha256.Sum256([]byte(content)),
		Identity: finding.Identity{StudyInstanceUID: "1.2.3"},
		Findings: []finding.Finding{finding.New("preamble-executable", "preamble", 0, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A held file is in the vault as it was on the medium, preamble and all.
func TestImportedFileIsHeldWhole(t *testing.T) {
	s := newSite(t)
	content := strings.Repeat("MZ and then some", 1<<17) // 2 MiB: more than a buffer keeps in memory
	body, contentType := form(t, "object", importedFile(t, content, "pacs"), "file", content)
	code, text := post(t, s.api+"/api/v1/import/held", body, contentType)
	var v custody.VaultItem
	if err := json.Unmarshal([]byte(text), &v); code != http.StatusOK || err != nil {
		t.Fatalf("%d %s", code, text)
	}
	o, err := s.custody.Get(t.Context(), v.ID)
	if err != nil || o.State != custody.Held || o.TransferSyntaxUID != "" || o.Archive != "pacs" || len(o.Findings) != 1 {
		t.Errorf("%v, %+v", err, o)
	}
	code, text = fetch(t, "POST", s.api+"/api/v1/vault/"+v.ID+"/export", `{"by":"ann","reason":"analysis"}`)
	if code != http.StatusOK || text != content {
		t.Errorf("exported %d: %d bytes of %d", code, len(text), len(content))
	}
}

// What came is not what was judged, or not all of it: nothing is kept.
func TestImportedFileIsTheOneThatWasJudged(t *testing.T) {
	s := newSite(t)
	about := importedFile(t, "judged", "pacs")
	whole, contentType := form(t, "object", about, "file", "judged")
	for name, c := range map[string]struct{ body, contentType string }{
		"cut":       {whole[:len(whole)-80], contentType},
		"no form":   {about, "application/json"},
		"not named": {"", ""},
	} {
		if code, text := post(t, s.api+"/api/v1/import/held", c.body, c.contentType); code == http.StatusOK {
			t.Errorf("%s: %s", name, text)
		}
	}
	for name, parts := range map[string][]string{
		"other bytes":  {"object", about, "file", "JUDGED"},
		"more bytes":   {"object", about, "file", "judged, and more"},
		"no file":      {"object", about},
		"no object":    {"file", "judged"},
		"no digest":    {"object", `{"archive":"pacs"}`, "file", "judged"},
		"no archive":   {"object", importedFile(t, "judged", ""), "file", "judged"},
		"not JSON":     {"object", "<xml/>", "file", "judged"},
		"wrong digest": {"object", `{"archive":"pacs","sha256":"12"}`, "file", "judged"},
	} {
		body, contentType := form(t, parts...)
		if code, text := post(t, s.api+"/api/v1/import/held", body, contentType); code == http.StatusOK {
			t.Errorf("%s: %s", name, text)
		}
	}
	if all, err := s.custody.List(t.Context(), custody.Filter{}); err != nil || len(all) > 0 {
		t.Errorf("%v, %d kept", err, len(all))
	}
}

func TestImportIsOnTheLedger(t *testing.T) {
	s := newSite(t)
	if code, text := post(t, s.api+"/api/v1/import", `{"by":"ann","archive":"pacs","stored":7,"held":1}`, "application/json"); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	for name, body := range map[string]string{"nobody": `{"stored":7}`, "a name of a file": `{"by":"ann","path":"DOE^JOHN"}`} {
		if code, _ := post(t, s.api+"/api/v1/import", body, "application/json"); code != http.StatusBadRequest {
			t.Errorf("%s: %d", name, code)
		}
	}
	_, text := fetch(t, "GET", s.api+"/api/v1/ledger", "")
	if strings.Count(text, `"kind":"media.import"`) != 1 || !strings.Contains(text, `"stored":7`) || !strings.Contains(text, `"by":"ann"`) {
		t.Error(text)
	}
}

// The page on TCP takes nothing.
func TestPageTakesNoImports(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/api/v1/import", "/api/v1/import/held"} {
		if code, _ := post(t, s.page+path, "{}", "application/json"); code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, code)
		}
	}
}
