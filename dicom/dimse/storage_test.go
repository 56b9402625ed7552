package dimse

import (
	"slices"
	"strconv"
	"testing"

	"cordon/dicom"
)

func TestEachClassIsProposedInEverySyntax(t *testing.T) {
	for _, c := range []struct{ classes, room, contexts int }{
		{0, 10, 0}, {3, 0, 0}, {1, 128, 25}, {5, 128, 125}, {6, 128, 126}, {100, 128, 100}, {200, 128, 128}, {1, 1, 1},
	} {
		var classes []dicom.UID
		for i := range c.classes {
			classes = append(classes, dicom.UID("1.2."+strconv.Itoa(i+1)))
		}
		got := StorageContexts(classes, c.room)
		if len(got) != c.contexts {
			t.Errorf("%d classes, room for %d: %d contexts, want %d", c.classes, c.room, len(got), c.contexts)
		}
		syntaxes := map[dicom.UID][]dicom.UID{}
		for _, pc := range got {
			syntaxes[pc.AbstractSyntax] = append(syntaxes[pc.AbstractSyntax], pc.TransferSyntaxes...)
		}
		for class, got := range syntaxes {
			if !slices.Equal(got, keptSyntaxes) {
				t.Errorf("%s is proposed in %v", class, got)
			}
		}
	}
}
