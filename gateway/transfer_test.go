package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
	"cordon/judge"
	"cordon/transfer"
)

// planted are the names that must be nowhere but in a sealed string.
var planted = []string{"PLANTED", "Vertraulich", "SECRET-ID-4711", "ACC-0815"}

// namedImage is a CT of a patient whose data are planted.
func namedImage(study dicom.UID, extra func(*compose.Object)) image {
	o := compose.CT(16, 16)
	o.SetString(dicom.TagSpecificCharacterSet, dicom.CS, "ISO_IR 192")
	o.SetString(dicom.TagPatientName, dicom.PN, "PLANTED^Vertraulich")
	o.SetString(dicom.TagPatientID, dicom.LO, "SECRET-ID-4711")
	o.SetString(dicom.TagAccessionNumber, dicom.SH, "ACC-0815")
	o.SetString(dicom.TagStudyInstanceUID, dicom.UI, string(study))
	if extra != nil {
		extra(o)
	}
	return image{class: o.SOPClass, uid: dicom.UID(o.Instance), study: study, data: o.DataSet()}
}

func eicarInside(o *compose.Object) { compose.PrivateOB.Put(o, []byte(eicar)) }

// transfersOf lists the records of a kind by study and direction.
func (h *house) transfersOf(kind string) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, b := range h.recorded(kind) {
		out[fmt.Sprint(b["study"], " ", b["direction"])] = b
	}
	return out
}

func (h *house) patientIn(b map[string]any) (p struct{ ID, Name, Accession string }) {
	h.t.Helper()
	sealed, _ := b["patient"].(string)
	if err := h.ledger.Unseal(context.Background(), sealed, &p); err != nil {
		h.t.Errorf("%v: %v", b, err)
	}
	return p
}

func TestTransfersAreRecordedByStudyAndWay(t *testing.T) {
	h := start(t)
	h.archive.answer = func(n int, _ stored) (dimse.Command, bool) {
		if n == 2 {
			return dimse.Command{Status: 0xC123}, true
		}
		return dimse.Command{}, true
	}
	one, two := newUID(), newUID()
	c := h.modality()
	for _, im := range []image{namedImage(one, nil), namedImage(one, eicarInside), namedImage(two, nil), namedImage(one, nil)} {
		send(t, c, im)
	}
	release(t, c)
	key := func(study dicom.UID, direction string) string { return string(study) + " " + direction }
	eventually(t, "the transfers", func() bool { return len(h.recorded("transfer.end")) == 4 })
	began, ended := h.transfersOf("transfer.begin"), h.transfersOf("transfer.end")
	if len(began) != 2 || began[key(one, transfer.Sent)] == nil || began[key(two, transfer.Sent)] == nil {
		t.Errorf("began: %v", began)
	}
	class := string(dicom.CTImageStorage)
	for _, want := range []struct {
		key            string
		stored, failed any
		title, own     string
	}{
		{key(one, transfer.Received), 2.0, 1.0, "CT1", "CORDON"}, // two answered with success, held one included, and the one that the archive refused
		{key(one, transfer.Sent), 1.0, 1.0, "PACS", "CT1"},
		{key(two, transfer.Received), 1.0, nil, "CT1", "CORDON"},
		{key(two, transfer.Sent), 1.0, nil, "PACS", "CT1"},
	} {
		b := ended[want.key]
		if b == nil {
			t.Errorf("%s: not recorded", want.key)
			continue
		}
		stored, _ := b["stored"].(map[string]any)
		failed, _ := b["failed"].(map[string]any)
		if stored[class] != want.stored || failed[class] != want.failed || b["peer_ae"] != want.title || b["own_ae"] != want.own || b["peer_address"] != "127.0.0.1" {
			t.Errorf("%s: %v", want.key, b)
		}
		if p := h.patientIn(b); p.ID != "SECRET-ID-4711" || p.Name != "PLANTED^Vertraulich" || p.Accession != "ACC-0815" {
			t.Errorf("%s: patient %+v", want.key, p)
		}
	}
}

// A spooled study is sent later, by an association of ours.
func TestDeliveryFromTheSpoolIsATransfer(t *testing.T) {
	h := start(t)
	h.archive.down()
	study := newUID()
	c := h.modality()
	send(t, c, namedImage(study, nil))
	release(t, c)
	h.archive.up(h.archive.address)
	eventually(t, "the transfer", func() bool {
		b := h.transfersOf("transfer.end")[string(study)+" "+transfer.Sent]
		return b != nil && b["stored"] != nil && b["peer_address"] == "127.0.0.1"
	})
}

// An object that is refused before it is read is a failed store as well.
func TestUnreadStoresAreCounted(t *testing.T) {
	h := start(t)
	c := h.modality()
	im := newImage(t, nil)
	im.uid = ""
	if rsp := send(t, c, im); rsp.Status.Class() != dimse.ClassFailure {
		t.Fatalf("status %04X", uint16(rsp.Status))
	}
	release(t, c)
	eventually(t, "the transfer", func() bool {
		all := h.recorded("transfer.end")
		return len(all) == 1 && all[0]["failed"] != nil && all[0]["study"] == nil && all[0]["patient"] == nil
	})
}

// Nobody but an audit repository ever learns whom an object is of.
func TestPatientsAreNowhereInTheClear(t *testing.T) {
	var log bytes.Buffer
	h := openLogged(t, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	study := newUID()
	c := h.modality()
	for _, extra := range []func(*compose.Object){nil, eicarInside} {
		send(t, c, namedImage(study, extra))
	}
	wrong := namedImage(study, nil)
	wrong.uid = newUID()
	send(t, c, wrong) // names another instance: an error with both in reach
	release(t, c)
	eventually(t, "the transfers", func() bool { return len(h.recorded("transfer.end")) >= 2 })
	var export bytes.Buffer
	if err := h.ledger.Export(t.Context(), &export); err != nil {
		t.Fatal(err)
	}
	status, err := h.gateway.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.stop()
	fmt.Fprintf(&log, "%+v", status) // nobody else writes to it any more
	places := map[string][]byte{"log and status": log.Bytes(), "export": export.Bytes()}
	err = filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			places[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, content := range places {
		for _, name := range planted {
			if bytes.Contains(content, []byte(name)) {
				t.Errorf("%q stands in %s", name, place)
			}
		}
	}
	if !strings.Contains(export.String(), "sealed:") {
		t.Error("nothing is sealed in the export")
	}
}

func openLogged(t *testing.T, log *slog.Logger) *house {
	a := newScriptedArchive(t)
	h := open(t, t.TempDir(), config(a.address))
	h.gateway.parts.Log = log
	h.archive = a
	return h
}

func TestTransfersAreBounded(t *testing.T) {
	h := start(t)
	moved := newTransfers(h.gateway, "A")
	for i := range 200 {
		moved.Add(transfer.Way{Study: fmt.Sprint("1.", i), Direction: transfer.Received}, judge.Patient{}, dicom.UID(fmt.Sprint("1.2.", i)), dimse.Success, "")
	}
	if n := 200 - len(h.recorded("transfer.end")); n > 64 {
		t.Errorf("%d are open", n)
	}
	for i := range 200 {
		moved.Add(transfer.Way{Study: "1.199", Direction: transfer.Received}, judge.Patient{}, dicom.UID(fmt.Sprint("1.2.", i)), dimse.Success, "")
	}
	moved.End()
	all := h.recorded("transfer.end")
	if len(all) != 200 {
		t.Fatalf("%d of 200 studies are recorded", len(all))
	}
	instances := 0.0
	for _, n := range all[199]["stored"].(map[string]any) {
		instances += n.(float64)
	}
	if len(all[199]["stored"].(map[string]any)) > 64+1 || instances != 201 {
		t.Errorf("%v", all[199])
	}
}

// What an archive sends out moves twice as well: from it to us, and from us to
// the device, on whichever association.
func TestOutgoingTransfers(t *testing.T) {
	study := newUID()
	clean, hostile := namedImage(study, nil), namedImage(study, eicarInside)
	check := func(t *testing.T, h *house, archivesOwn, devicesOwn string) {
		t.Helper()
		var in, out map[string]any
		eventually(t, "both transfers", func() bool {
			ended := h.transfersOf("transfer.end")
			in, out = ended[string(study)+" "+transfer.Received], ended[string(study)+" "+transfer.Sent]
			return in != nil && out != nil
		})
		class := string(dicom.CTImageStorage)
		stored, _ := in["stored"].(map[string]any)
		failed, _ := in["failed"].(map[string]any)
		if in["peer"] != "pacs" || in["peer_ae"] != "PACS" || in["own_ae"] != archivesOwn || stored[class] != 1.0 || failed[class] != 1.0 {
			t.Errorf("from the archive: %v", in)
		}
		stored, _ = out["stored"].(map[string]any)
		if out["peer"] != "ct-1" || out["peer_ae"] != "CT1" || out["own_ae"] != devicesOwn || out["peer_address"] != "127.0.0.1" || stored[class] != 1.0 || out["failed"] != nil {
			t.Errorf("to the device: %v", out)
		}
		if h.patientIn(out).Name != "PLANTED^Vertraulich" {
			t.Error("the patient is not named")
		}
	}
	t.Run("get", func(t *testing.T) {
		p := newScriptedPeer(t, func(p *scriptedPeer) {
			p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
				completed(x, m, storing(t, x, 3, []image{clean, hostile}, nil))
			}
		})
		h := behind(t, p)
		c := retriever(h, t, 0)
		c.ask(1, getRQ, identifier(t, false))
		if err := c.Conn().Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, h, "CT1", "CORDON")
	})
	t.Run("move", func(t *testing.T) {
		device, p := newScriptedPeer(t, nil), newScriptedPeer(t, nil)
		h := behind(t, p, withDevice(device))
		out := h.calls(t, ul.Request{Calling: "PACS", Called: "CT1", Contexts: []ul.ProposedContext{explicitly(1, dicom.CTImageStorage)}}, 0)
		storing(t, out.Exchange, 1, []image{clean, hostile}, nil)
		if err := out.Conn().Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, h, "CT1", "PACS")
	})
}
