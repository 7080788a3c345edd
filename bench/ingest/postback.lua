-- Posts the documented XML example, each time with a tracking id of its own.
local body = [[<postback>
<origin>MMS_MO</origin>
<code>N401</code>
<from>14082257140</from>
<to>28444</to>
<keyword>all</keyword>
<tracking-id>@</tracking-id>
<operator-id>31002</operator-id>
<timestamp>2014-02-03T11:19:49-05:00</timestamp>
<message-subject></message-subject>
<content>
<file>https://media.example.com/a/1.jpg</file>
<file>https://media.example.com/a/2.mp4</file>
<file>https://media.example.com/a/3.txt</file>
</content>
</postback>
]]
local threads = 0
local before, after, count

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  -- The run's own prefix, so that a second run against the same journal is no repetition.
  local prefix = string.format("MMS_MO_%s_%d_", args[1] or "bench", number)
  local width = 9
  local at = body:find("@", 1, true)
  local length = #body - 1 + #prefix + width
  before = "POST /postbacks/mms-mo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\n" ..
           "Content-Length: " .. length .. "\r\n\r\n" .. body:sub(1, at - 1) .. prefix
  after = body:sub(at + 1)
  count = 0
end

function request()
  count = count + 1
  return before .. string.format("%09d", count) .. after
end
