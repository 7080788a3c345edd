-- Posts a file each time with a tracking id of its own, in place of its @: wrk … -- DIRECTORY/postback.xml|json
-- [HEADER-LINE]
local before, after
local count = 0

function init(args)
  local body = io.open(args[1]):read("*a")
  local at = body:find("@", 1, true)
  local header = args[2] and args[2] .. "\r\n" or ""
  local length = #body - 1 + #string.format("MMS_MO_%09d", 0)
  before = "POST /postbacks/mms-mo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/" ..
           args[1]:match("%a+$") .. "\r\n" .. header .. "Content-Length: " .. length .. "\r\n\r\n" .. body:sub(1, at - 1)
  after = body:sub(at + 1)
end

function request()
  count = count + 1
  return before .. string.format("MMS_MO_%09d", count) .. after
end
