// A department's consumer in Node.js: every event once, as one line of a file. Needs `npm install`.
//
//   CREDIT_AMQP_URL=amqp://ecology_environment:PASSWORD@HOST:5672/credit node consume.mjs ecology_environment events.jsonl
//
// Stops after CREDIT_IDLE_SECONDS without a message when that is set; runs for ever otherwise.
import { open, readFile, truncate } from "node:fs/promises";
import amqp from "amqplib";

const [participant, path] = process.argv.slice(2);
const idle = process.env.CREDIT_IDLE_SECONDS ? Number(process.env.CREDIT_IDLE_SECONDS) * 1000 : undefined;

// What an earlier run wrote; a last line that a crash cut in two is taken away, the broker sends it again.
const held = await readFile(path, "utf8").catch(() => "");
const whole = held.slice(0, held.lastIndexOf("\n") + 1);
if (whole.length < held.length) await truncate(path, Buffer.byteLength(whole));
const key = (event) => `${event.source} ${event.id}`;
const seen = new Set(whole.split("\n").filter(Boolean).map((line) => key(JSON.parse(line))));

// The highest sequence of each subject: a lower one is an older word on it. Corrections are ordered among themselves.
const newest = new Map();
const subjects = ({ data }) =>
  [...(data.results ?? []).map((one) => one.subject_ref), ...(data.warning ? [data.warning.id] : [])].map(
    (subject) => `${data.domain} ${subject} ${data.correction ? data.as_of : ""}`,
  );
const isNews = (event) => subjects(event).some((one) => (newest.get(one) ?? 0) <= event.data.sequence);
const remember = (event) => {
  seen.add(key(event));
  for (const one of subjects(event)) newest.set(one, Math.max(newest.get(one) ?? 0, event.data.sequence));
};
for (const line of whole.split("\n").filter(Boolean)) remember(JSON.parse(line));

const file = await open(path, "a");
const connection = await amqp.connect(`${process.env.CREDIT_AMQP_URL}?heartbeat=30`, { timeout: 10_000 });
const channel = await connection.createChannel();
await channel.prefetch(200);

const counts = { written: 0, duplicates: 0, outdated: 0, rejected: 0 };
let last = Date.now();
let queueOfWork = Promise.resolve(); // one message after the other: the file stays in order

async function take(message) {
  last = Date.now();
  let event;
  try {
    event = JSON.parse(message.content.toString("utf8"));
    if (event.specversion !== "1.0" || !event.id || !Number.isInteger(event.data.sequence)) throw new Error("not ours");
  } catch {
    counts.rejected += 1;
    return channel.reject(message, false); // parked in <participant>.dead
  }
  if (seen.has(key(event))) counts.duplicates += 1;
  else if (!isNews(event)) counts.outdated += 1;
  else {
    await file.appendFile(JSON.stringify(event) + "\n");
    await file.sync(); // on the disk first, acknowledged then
    counts.written += 1;
    remember(event);
  }
  channel.ack(message);
}

// A disk that is full or a lost connection ends the process; what was not acknowledged comes again.
const fail = (error) => {
  console.error(error.message);
  process.exit(1);
};
connection.on("error", fail);
channel.on("error", fail);
for (const queue of [`${participant}.grades`, `${participant}.warnings`]) {
  await channel.consume(queue, (message) => {
    if (message === null) fail(new Error(`${queue}: the broker cancelled the consumer`));
    queueOfWork = queueOfWork.then(() => take(message)).catch(fail);
  });
}

while (idle === undefined || Date.now() - last < idle) await new Promise((done) => setTimeout(done, 100));
await queueOfWork;
await connection.close();
await file.close();
console.log(JSON.stringify(counts));
