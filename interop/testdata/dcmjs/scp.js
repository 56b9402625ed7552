// A service class provider on dcmjs-dimse: Verification, Storage, and Modality Performed Procedure Step.
//
//   node scp.js PORT
//
// It accepts every context with the first uncompressed transfer syntax and prints one JSON object a line for each
// request: what was created, set or stored.
'use strict';

const dimse = require('dcmjs-dimse');
const { Server, Scp } = dimse;
const { CEchoResponse, CStoreResponse, NCreateResponse, NSetResponse } = dimse.responses;
const { PresentationContextResult, Status, TransferSyntax } = dimse.constants;
dimse.log.setLevel('silent');

const say = (o) => process.stdout.write(JSON.stringify(o) + '\n');
const elements = (request) => {
  const e = request.hasDataset() ? { ...request.getDataset().getElements() } : {};
  delete e._vrMap;
  return e;
};
const steps = new Map();

class Provider extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const syntax = context.getTransferSyntaxUids().find((ts) =>
        [TransferSyntax.ExplicitVRLittleEndian, TransferSyntax.ImplicitVRLittleEndian].includes(ts));
      if (syntax) {
        context.setResult(PresentationContextResult.Accept, syntax);
      } else {
        context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
      }
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    this.answer(CEchoResponse.fromRequest(request), Status.Success, callback);
  }

  cStoreRequest(request, callback) {
    say({ operation: 'C-STORE', instance: request.getAffectedSopInstanceUid() });
    this.answer(CStoreResponse.fromRequest(request), Status.Success, callback);
  }

  nCreateRequest(request, callback) {
    const instance = request.getAffectedSopInstanceUid();
    say({ operation: 'N-CREATE', instance, dataset: elements(request) });
    const known = steps.has(instance);
    steps.set(instance, 'IN PROGRESS');
    this.answer(NCreateResponse.fromRequest(request), known ? Status.DuplicateSOPInstance : Status.Success, callback);
  }

  nSetRequest(request, callback) {
    const instance = request.getRequestedSopInstanceUid();
    say({ operation: 'N-SET', instance, dataset: elements(request) });
    this.answer(NSetResponse.fromRequest(request), steps.has(instance) ? Status.Success : Status.NoSuchObjectInstance, callback);
  }

  answer(response, status, callback) {
    response.setStatus(status);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

new Server(Provider).listen(Number(process.argv[2]));
