// What many would write: Express takes the postback, it becomes an object, and body and object are in a file, synced,
// before the answer. Usage: server.js ADDRESS FILE group|each. "group" syncs once for all that arrived during the
// last sync, "each" once a request.
"use strict";

const fs = require("node:fs");
const express = require("express");
const { XMLParser } = require("fast-xml-parser");

const [address, path, mode] = process.argv.slice(2);
const file = fs.openSync(path, "a");
const xml = new XMLParser({ parseTagValue: false });
const cursors = new Map(); // tracking id → cursor
let waiting = [];
let syncing = false;

const list = (value) => (value === undefined || value === "" ? [] : [].concat(value));

function addressOf(value) {
  const digits = /^\+?(\d+)$/.exec(value)?.[1];
  if (!digits) return { value, kind: value.includes("@") ? "EMAIL" : "UNSPECIFIED" };
  if (digits.length <= 6) return { value, kind: "SHORT_CODE" };
  return { value, e164: `+${digits}`, kind: "LONG_CODE" };
}

function mediaKind(url) {
  const extension = url.slice(url.lastIndexOf(".") + 1).toLowerCase();
  return { jpg: "IMAGE", jpeg: "IMAGE", png: "IMAGE", gif: "IMAGE", mp4: "VIDEO", "3gp": "VIDEO", mp3: "AUDIO",
    amr: "AUDIO", txt: "TEXT", smil: "SMIL" }[extension] ?? "OTHER";
}

function normalise(type, body) {
  const isJson = type.includes("json");
  const postback = isJson ? JSON.parse(body) : xml.parse(body).postback;
  const urls = isJson ? list(postback.content).map((entry) => entry.file) : list(postback.content?.file);
  if (!postback["tracking-id"] || !postback.from || !postback.to) throw new Error("a field is missing");
  return {
    origin: postback.origin,
    code: postback.code,
    trackingId: postback["tracking-id"],
    sender: addressOf(postback.from),
    recipient: addressOf(postback.to),
    keyword: postback.keyword,
    operatorId: postback["operator-id"],
    receiveTime: new Date(postback.timestamp).toISOString(),
    timestamp: postback.timestamp,
    subject: postback["message-subject"],
    media: urls.map((url) => ({ url, kind: mediaKind(url) })),
  };
}

function sync(records, done) {
  fs.write(file, Buffer.concat(records), (error) => (error ? done(error) : fs.fdatasync(file, done)));
}

function syncGroup() {
  if (syncing || waiting.length === 0) return;
  syncing = true;
  const group = waiting;
  waiting = [];
  sync(group.map((one) => one.record), (error) => {
    syncing = false;
    for (const one of group) one.done(error);
    syncGroup();
  });
}

function keep(record, done) {
  if (mode === "each") return sync([record], done);
  waiting.push({ record, done });
  setImmediate(syncGroup);
}

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.post("/postbacks/mms-mo", express.text({ type: "*/*" }), (request, response) => {
  let event;
  try {
    event = normalise(request.get("content-type"), request.body);
  } catch (error) {
    return response.status(400).json({ outcome: "rejected", detail: error.message });
  }
  const known = cursors.get(event.trackingId);
  if (known) return response.json({ outcome: "duplicate", cursor: known });
  const cursor = String(cursors.size + 1);
  cursors.set(event.trackingId, cursor);
  keep(Buffer.from(`${JSON.stringify({ cursor, event, raw: request.body })}\n`), (error) => {
    if (error) return response.status(503).json({ outcome: "rejected", detail: error.message });
    return response.json({ outcome: "accepted", cursor });
  });
});
const [host, port] = address.split(":");
app.listen(Number(port), host);
