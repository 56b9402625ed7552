package inspect_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"cordon/dicom"
	"cordon/inspect"
	"cordon/inspect/compose"
)

// So many objects keep containers at a time. One that gets no turn in time is not
// clean: what it holds was not opened, and it says so.
func TestContainersArriveInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := hostile("pdf-attached-program")
		head := append([]byte("%PDF-1.7\n%"), bytes.Repeat([]byte{' '}, 200_000)...)
		file := put(compose.EncapsulatedPDF, append(append(head, '\n'), body...))
		arriving := inspect.NewTurns(1)
		if out := judged(inspect.Options{Arriving: arriving}, file, 0); !has(out, "executable", "") || len(arriving) != 0 {
			t.Errorf("alone: %v, %d turns kept", out.Findings, len(arriving))
		}
		arriving <- struct{}{}
		began := time.Now()
		out := judged(inspect.Options{Arriving: arriving}, file, 0)
		if !has(out, "container-limit", "") && !has(out, "container-unread", "") {
			t.Errorf("without a turn: %v", out.Findings)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("waited %v", took)
		}
		if len(arriving) != 1 {
			t.Error("gave back a turn that it had not")
		}
	})
}

// An object that ends in the middle of a container takes its turn along to nowhere.
func TestTurnOfACutObjectIsGivenBack(t *testing.T) {
	arriving := inspect.NewTurns(1)
	in := inspect.New(inspect.Options{Arriving: arriving, Decoder: dicom.Options{TransferSyntax: dicom.JPEGBaseline8Bit}})
	in.Write([]byte("\x08\x00\x05\x00CS\x00\x00"))
	in.Write([]byte("\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x00\x00\x00\x00\xFE\xFF\x00\xE0\x00\x00\x10\x00%PDF-1.7\n"))
	in.Write(make([]byte, 100_000))
	if len(arriving) != 1 {
		t.Error("no turn was taken")
	}
	in.Close()
	if len(arriving) != 0 {
		t.Error("the turn was not given back")
	}
}
