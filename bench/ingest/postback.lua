-- Posts a file each time with a tracking id of its own, in place of its @: wrk … -- DIRECTORY/postback.xml|json FIRST
-- [HEADER-LINE]. Ids count from FIRST on, those of each further thread of wrk from far behind.
local before, after, count
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local body = io.open(args[1]):read("*a")
  local at = body:find("@", 1, true)
  local header = args[3] and args[3] .. "\r\n" or ""
  local length = #body - 1 + #string.format("MMS_MO_%012d", 0)
  count = args[2] + number * 1e11
  before = "POST /postbacks/mms-mo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/" ..
           args[1]:match("%a+$") .. "\r\n" .. header .. "Content-Length: " .. length .. "\r\n\r\n" .. body:sub(1, at - 1)
  after = body:sub(at + 1)
end

function request()
  count = count + 1
  return before .. string.format("MMS_MO_%012d", count) .. after
end
