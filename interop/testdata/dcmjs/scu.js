// A service class user on dcmjs-dimse: one operation on one association.
//
//   node scu.js OPERATION HOST PORT CALLING CALLED [JSON]
//
// It prints one JSON object a line: each response's status, with its counts or its data set, and, for C-GET, each
// instance that was stored. It ends with 1 unless every request got its last response.
'use strict';

const dimse = require('dcmjs-dimse');
const { Client, Dataset } = dimse;
const { CEchoRequest, CStoreRequest, CFindRequest, CMoveRequest, CGetRequest, NCreateRequest, NSetRequest } = dimse.requests;
const { CStoreResponse } = dimse.responses;
const { SopClass, Status } = dimse.constants;
dimse.log.setLevel('silent');

const [operation, host, port, calling, called, json] = process.argv.slice(2);
const say = (o) => process.stdout.write(JSON.stringify(o) + '\n');
const input = json ? JSON.parse(json) : {};
const client = new Client();
let unanswered = 0;

const requests = {
  echo: () => [new CEchoRequest()],
  store: () => input.files.map((f) => new CStoreRequest(f)),
  worklist: () => [CFindRequest.createWorklistFindRequest(input)],
  studies: () => [CFindRequest.createStudyFindRequest(input)],
  series: () => [CFindRequest.createSeriesFindRequest(input)],
  images: () => [CFindRequest.createImageFindRequest(input)],
  move: () => [CMoveRequest.createStudyMoveRequest(input.destination, input.study)],
  get: () => [CGetRequest.createStudyGetRequest(input.study)],
  step: () => {
    const create = new NCreateRequest(SopClass.ModalityPerformedProcedureStep, input.instance);
    create.setDataset(new Dataset(input.create));
    const set = new NSetRequest(SopClass.ModalityPerformedProcedureStep, input.instance);
    set.setDataset(new Dataset(input.set));
    return [create, set];
  },
};

for (const request of requests[operation]()) {
  request.on('response', (response) => {
    const line = { status: response.getStatus() };
    if (response.hasDataset()) {
      line.dataset = response.getDataset().getElements();
      delete line.dataset._vrMap;
    }
    if (response.getCompleted && response.getStatus() !== Status.Pending) {
      line.completed = response.getCompleted();
      line.failed = response.getFailures();
      line.warning = response.getWarnings();
    }
    say(line);
    unanswered -= (response.getStatus() & 0xfffe) === Status.Pending ? 0 : 1; // 0xFF01 is pending, too
  });
  unanswered++;
  client.addRequest(request);
}

client.on('cStoreRequest', (request, callback) => {
  say({ stored: request.getAffectedSopInstanceUid() });
  const response = CStoreResponse.fromRequest(request);
  response.setStatus(Status.Success);
  callback(response);
});
const fail = (what) => (e) => {
  if (unanswered === 0) {
    return; // the peer hung up first, after the release
  }
  say({ error: what, detail: String((e && e.message) || JSON.stringify(e)) });
};
client.on('networkError', fail('network'));
client.on('associationRejected', fail('rejected'));
process.on('exit', () => {
  if (unanswered > 0) {
    process.exitCode = 1;
  }
});
client.send(host, Number(port), calling, called, { associationLingerTimeout: 0 });
