// swift-format-ignore-file
// Every form of the vector instructions: its bytes and its text, as an assembler makes them.
// A trailing immediate byte is 0 and replaced by the tests.

extension VectorForm {
    static let text = """
        660ffcca paddb xmm1, xmm2
        66440ffc0e paddb xmm9, xmmword ptr [rsi]
        660ffdca paddw xmm1, xmm2
        66440ffd0e paddw xmm9, xmmword ptr [rsi]
        660ffeca paddd xmm1, xmm2
        66440ffe0e paddd xmm9, xmmword ptr [rsi]
        660fd4ca paddq xmm1, xmm2
        66440fd40e paddq xmm9, xmmword ptr [rsi]
        660fecca paddsb xmm1, xmm2
        66440fec0e paddsb xmm9, xmmword ptr [rsi]
        660fedca paddsw xmm1, xmm2
        66440fed0e paddsw xmm9, xmmword ptr [rsi]
        660fdcca paddusb xmm1, xmm2
        66440fdc0e paddusb xmm9, xmmword ptr [rsi]
        660fddca paddusw xmm1, xmm2
        66440fdd0e paddusw xmm9, xmmword ptr [rsi]
        660ff8ca psubb xmm1, xmm2
        66440ff80e psubb xmm9, xmmword ptr [rsi]
        660ff9ca psubw xmm1, xmm2
        66440ff90e psubw xmm9, xmmword ptr [rsi]
        660ffaca psubd xmm1, xmm2
        66440ffa0e psubd xmm9, xmmword ptr [rsi]
        660ffbca psubq xmm1, xmm2
        66440ffb0e psubq xmm9, xmmword ptr [rsi]
        660fe8ca psubsb xmm1, xmm2
        66440fe80e psubsb xmm9, xmmword ptr [rsi]
        660fe9ca psubsw xmm1, xmm2
        66440fe90e psubsw xmm9, xmmword ptr [rsi]
        660fd8ca psubusb xmm1, xmm2
        66440fd80e psubusb xmm9, xmmword ptr [rsi]
        660fd9ca psubusw xmm1, xmm2
        66440fd90e psubusw xmm9, xmmword ptr [rsi]
        660f3801ca phaddw xmm1, xmm2
        66440f38010e phaddw xmm9, xmmword ptr [rsi]
        660f3802ca phaddd xmm1, xmm2
        66440f38020e phaddd xmm9, xmmword ptr [rsi]
        660f3803ca phaddsw xmm1, xmm2
        66440f38030e phaddsw xmm9, xmmword ptr [rsi]
        660f3805ca phsubw xmm1, xmm2
        66440f38050e phsubw xmm9, xmmword ptr [rsi]
        660f3806ca phsubd xmm1, xmm2
        66440f38060e phsubd xmm9, xmmword ptr [rsi]
        660f3807ca phsubsw xmm1, xmm2
        66440f38070e phsubsw xmm9, xmmword ptr [rsi]
        660fd5ca pmullw xmm1, xmm2
        66440fd50e pmullw xmm9, xmmword ptr [rsi]
        660fe5ca pmulhw xmm1, xmm2
        66440fe50e pmulhw xmm9, xmmword ptr [rsi]
        660fe4ca pmulhuw xmm1, xmm2
        66440fe40e pmulhuw xmm9, xmmword ptr [rsi]
        660f380bca pmulhrsw xmm1, xmm2
        66440f380b0e pmulhrsw xmm9, xmmword ptr [rsi]
        660ff4ca pmuludq xmm1, xmm2
        66440ff40e pmuludq xmm9, xmmword ptr [rsi]
        660ff5ca pmaddwd xmm1, xmm2
        66440ff50e pmaddwd xmm9, xmmword ptr [rsi]
        660f3804ca pmaddubsw xmm1, xmm2
        66440f38040e pmaddubsw xmm9, xmmword ptr [rsi]
        660ff6ca psadbw xmm1, xmm2
        66440ff60e psadbw xmm9, xmmword ptr [rsi]
        660f3828ca pmuldq xmm1, xmm2
        66440f38280e pmuldq xmm9, xmmword ptr [rsi]
        660f3840ca pmulld xmm1, xmm2
        66440f38400e pmulld xmm9, xmmword ptr [rsi]
        660f3841ca phminposuw xmm1, xmm2
        66440f38410e phminposuw xmm9, xmmword ptr [rsi]
        660fe0ca pavgb xmm1, xmm2
        66440fe00e pavgb xmm9, xmmword ptr [rsi]
        660fe3ca pavgw xmm1, xmm2
        66440fe30e pavgw xmm9, xmmword ptr [rsi]
        660fdeca pmaxub xmm1, xmm2
        66440fde0e pmaxub xmm9, xmmword ptr [rsi]
        660feeca pmaxsw xmm1, xmm2
        66440fee0e pmaxsw xmm9, xmmword ptr [rsi]
        660fdaca pminub xmm1, xmm2
        66440fda0e pminub xmm9, xmmword ptr [rsi]
        660feaca pminsw xmm1, xmm2
        66440fea0e pminsw xmm9, xmmword ptr [rsi]
        660f383cca pmaxsb xmm1, xmm2
        66440f383c0e pmaxsb xmm9, xmmword ptr [rsi]
        660f383eca pmaxuw xmm1, xmm2
        66440f383e0e pmaxuw xmm9, xmmword ptr [rsi]
        660f383fca pmaxud xmm1, xmm2
        66440f383f0e pmaxud xmm9, xmmword ptr [rsi]
        660f383dca pmaxsd xmm1, xmm2
        66440f383d0e pmaxsd xmm9, xmmword ptr [rsi]
        660f3838ca pminsb xmm1, xmm2
        66440f38380e pminsb xmm9, xmmword ptr [rsi]
        660f383aca pminuw xmm1, xmm2
        66440f383a0e pminuw xmm9, xmmword ptr [rsi]
        660f383bca pminud xmm1, xmm2
        66440f383b0e pminud xmm9, xmmword ptr [rsi]
        660f3839ca pminsd xmm1, xmm2
        66440f38390e pminsd xmm9, xmmword ptr [rsi]
        660f3808ca psignb xmm1, xmm2
        66440f38080e psignb xmm9, xmmword ptr [rsi]
        660f3809ca psignw xmm1, xmm2
        66440f38090e psignw xmm9, xmmword ptr [rsi]
        660f380aca psignd xmm1, xmm2
        66440f380a0e psignd xmm9, xmmword ptr [rsi]
        660f381cca pabsb xmm1, xmm2
        66440f381c0e pabsb xmm9, xmmword ptr [rsi]
        660f381dca pabsw xmm1, xmm2
        66440f381d0e pabsw xmm9, xmmword ptr [rsi]
        660f381eca pabsd xmm1, xmm2
        66440f381e0e pabsd xmm9, xmmword ptr [rsi]
        660f74ca pcmpeqb xmm1, xmm2
        66440f740e pcmpeqb xmm9, xmmword ptr [rsi]
        660f75ca pcmpeqw xmm1, xmm2
        66440f750e pcmpeqw xmm9, xmmword ptr [rsi]
        660f76ca pcmpeqd xmm1, xmm2
        66440f760e pcmpeqd xmm9, xmmword ptr [rsi]
        660f3829ca pcmpeqq xmm1, xmm2
        66440f38290e pcmpeqq xmm9, xmmword ptr [rsi]
        660f64ca pcmpgtb xmm1, xmm2
        66440f640e pcmpgtb xmm9, xmmword ptr [rsi]
        660f65ca pcmpgtw xmm1, xmm2
        66440f650e pcmpgtw xmm9, xmmword ptr [rsi]
        660f66ca pcmpgtd xmm1, xmm2
        66440f660e pcmpgtd xmm9, xmmword ptr [rsi]
        660f3837ca pcmpgtq xmm1, xmm2
        66440f38370e pcmpgtq xmm9, xmmword ptr [rsi]
        660fdbca pand xmm1, xmm2
        66440fdb0e pand xmm9, xmmword ptr [rsi]
        660fdfca pandn xmm1, xmm2
        66440fdf0e pandn xmm9, xmmword ptr [rsi]
        660febca por xmm1, xmm2
        66440feb0e por xmm9, xmmword ptr [rsi]
        660fefca pxor xmm1, xmm2
        66440fef0e pxor xmm9, xmmword ptr [rsi]
        0f54ca andps xmm1, xmm2
        440f540e andps xmm9, xmmword ptr [rsi]
        660f54ca andpd xmm1, xmm2
        66440f540e andpd xmm9, xmmword ptr [rsi]
        0f55ca andnps xmm1, xmm2
        440f550e andnps xmm9, xmmword ptr [rsi]
        660f55ca andnpd xmm1, xmm2
        66440f550e andnpd xmm9, xmmword ptr [rsi]
        0f56ca orps xmm1, xmm2
        440f560e orps xmm9, xmmword ptr [rsi]
        660f56ca orpd xmm1, xmm2
        66440f560e orpd xmm9, xmmword ptr [rsi]
        0f57ca xorps xmm1, xmm2
        440f570e xorps xmm9, xmmword ptr [rsi]
        660f57ca xorpd xmm1, xmm2
        66440f570e xorpd xmm9, xmmword ptr [rsi]
        660ff1ca psllw xmm1, xmm2
        66440ff10e psllw xmm9, xmmword ptr [rsi]
        660ff2ca pslld xmm1, xmm2
        66440ff20e pslld xmm9, xmmword ptr [rsi]
        660ff3ca psllq xmm1, xmm2
        66440ff30e psllq xmm9, xmmword ptr [rsi]
        660fd1ca psrlw xmm1, xmm2
        66440fd10e psrlw xmm9, xmmword ptr [rsi]
        660fd2ca psrld xmm1, xmm2
        66440fd20e psrld xmm9, xmmword ptr [rsi]
        660fd3ca psrlq xmm1, xmm2
        66440fd30e psrlq xmm9, xmmword ptr [rsi]
        660fe1ca psraw xmm1, xmm2
        66440fe10e psraw xmm9, xmmword ptr [rsi]
        660fe2ca psrad xmm1, xmm2
        66440fe20e psrad xmm9, xmmword ptr [rsi]
        660f63ca packsswb xmm1, xmm2
        66440f630e packsswb xmm9, xmmword ptr [rsi]
        660f6bca packssdw xmm1, xmm2
        66440f6b0e packssdw xmm9, xmmword ptr [rsi]
        660f67ca packuswb xmm1, xmm2
        66440f670e packuswb xmm9, xmmword ptr [rsi]
        660f382bca packusdw xmm1, xmm2
        66440f382b0e packusdw xmm9, xmmword ptr [rsi]
        660f60ca punpcklbw xmm1, xmm2
        66440f600e punpcklbw xmm9, xmmword ptr [rsi]
        660f61ca punpcklwd xmm1, xmm2
        66440f610e punpcklwd xmm9, xmmword ptr [rsi]
        660f62ca punpckldq xmm1, xmm2
        66440f620e punpckldq xmm9, xmmword ptr [rsi]
        660f6cca punpcklqdq xmm1, xmm2
        66440f6c0e punpcklqdq xmm9, xmmword ptr [rsi]
        660f68ca punpckhbw xmm1, xmm2
        66440f680e punpckhbw xmm9, xmmword ptr [rsi]
        660f69ca punpckhwd xmm1, xmm2
        66440f690e punpckhwd xmm9, xmmword ptr [rsi]
        660f6aca punpckhdq xmm1, xmm2
        66440f6a0e punpckhdq xmm9, xmmword ptr [rsi]
        660f6dca punpckhqdq xmm1, xmm2
        66440f6d0e punpckhqdq xmm9, xmmword ptr [rsi]
        0f14ca unpcklps xmm1, xmm2
        440f140e unpcklps xmm9, xmmword ptr [rsi]
        660f14ca unpcklpd xmm1, xmm2
        66440f140e unpcklpd xmm9, xmmword ptr [rsi]
        0f15ca unpckhps xmm1, xmm2
        440f150e unpckhps xmm9, xmmword ptr [rsi]
        660f15ca unpckhpd xmm1, xmm2
        66440f150e unpckhpd xmm9, xmmword ptr [rsi]
        660f3800ca pshufb xmm1, xmm2
        66440f38000e pshufb xmm9, xmmword ptr [rsi]
        f30f16ca movshdup xmm1, xmm2
        f3440f160e movshdup xmm9, xmmword ptr [rsi]
        f30f12ca movsldup xmm1, xmm2
        f3440f120e movsldup xmm9, xmmword ptr [rsi]
        660f38dcca aesenc xmm1, xmm2
        66440f38dc0e aesenc xmm9, xmmword ptr [rsi]
        660f38ddca aesenclast xmm1, xmm2
        66440f38dd0e aesenclast xmm9, xmmword ptr [rsi]
        660f38deca aesdec xmm1, xmm2
        66440f38de0e aesdec xmm9, xmmword ptr [rsi]
        660f38dfca aesdeclast xmm1, xmm2
        66440f38df0e aesdeclast xmm9, xmmword ptr [rsi]
        660f38dbca aesimc xmm1, xmm2
        66440f38db0e aesimc xmm9, xmmword ptr [rsi]
        0f53ca rcpps xmm1, xmm2
        440f530e rcpps xmm9, xmmword ptr [rsi]
        0f52ca rsqrtps xmm1, xmm2
        440f520e rsqrtps xmm9, xmmword ptr [rsi]
        660f3820ca pmovsxbw xmm1, xmm2
        66440f38200e pmovsxbw xmm9, qword ptr [rsi]
        660f3823ca pmovsxwd xmm1, xmm2
        66440f38230e pmovsxwd xmm9, qword ptr [rsi]
        660f3825ca pmovsxdq xmm1, xmm2
        66440f38250e pmovsxdq xmm9, qword ptr [rsi]
        660f3830ca pmovzxbw xmm1, xmm2
        66440f38300e pmovzxbw xmm9, qword ptr [rsi]
        660f3833ca pmovzxwd xmm1, xmm2
        66440f38330e pmovzxwd xmm9, qword ptr [rsi]
        660f3835ca pmovzxdq xmm1, xmm2
        66440f38350e pmovzxdq xmm9, qword ptr [rsi]
        f20f12ca movddup xmm1, xmm2
        f2440f120e movddup xmm9, qword ptr [rsi]
        660f3821ca pmovsxbd xmm1, xmm2
        66440f38210e pmovsxbd xmm9, dword ptr [rsi]
        660f3824ca pmovsxwq xmm1, xmm2
        66440f38240e pmovsxwq xmm9, dword ptr [rsi]
        660f3831ca pmovzxbd xmm1, xmm2
        66440f38310e pmovzxbd xmm9, dword ptr [rsi]
        660f3834ca pmovzxwq xmm1, xmm2
        66440f38340e pmovzxwq xmm9, dword ptr [rsi]
        f30f53ca rcpss xmm1, xmm2
        f3440f530e rcpss xmm9, dword ptr [rsi]
        f30f52ca rsqrtss xmm1, xmm2
        f3440f520e rsqrtss xmm9, dword ptr [rsi]
        660f3822ca pmovsxbq xmm1, xmm2
        66440f38220e pmovsxbq xmm9, word ptr [rsi]
        660f3832ca pmovzxbq xmm1, xmm2
        66440f38320e pmovzxbq xmm9, word ptr [rsi]
        660f70ca00 pshufd xmm1, xmm2, 0
        66440f700e00 pshufd xmm9, xmmword ptr [rsi], 0
        f20f70ca00 pshuflw xmm1, xmm2, 0
        f2440f700e00 pshuflw xmm9, xmmword ptr [rsi], 0
        f30f70ca00 pshufhw xmm1, xmm2, 0
        f3440f700e00 pshufhw xmm9, xmmword ptr [rsi], 0
        0fc6ca00 shufps xmm1, xmm2, 0
        440fc60e00 shufps xmm9, xmmword ptr [rsi], 0
        660fc6ca00 shufpd xmm1, xmm2, 0
        66440fc60e00 shufpd xmm9, xmmword ptr [rsi], 0
        660f3a0fca00 palignr xmm1, xmm2, 0
        66440f3a0f0e00 palignr xmm9, xmmword ptr [rsi], 0
        660f3a0eca00 pblendw xmm1, xmm2, 0
        66440f3a0e0e00 pblendw xmm9, xmmword ptr [rsi], 0
        660f3a0cca00 blendps xmm1, xmm2, 0
        66440f3a0c0e00 blendps xmm9, xmmword ptr [rsi], 0
        660f3a0dca00 blendpd xmm1, xmm2, 0
        66440f3a0d0e00 blendpd xmm9, xmmword ptr [rsi], 0
        660f3a42ca00 mpsadbw xmm1, xmm2, 0
        66440f3a420e00 mpsadbw xmm9, xmmword ptr [rsi], 0
        660f3a44ca00 pclmulqdq xmm1, xmm2, 0
        66440f3a440e00 pclmulqdq xmm9, xmmword ptr [rsi], 0
        660f3adfca00 aeskeygenassist xmm1, xmm2, 0
        66440f3adf0e00 aeskeygenassist xmm9, xmmword ptr [rsi], 0
        0fc2ca00 cmpps xmm1, xmm2, 0
        440fc20e00 cmpps xmm9, xmmword ptr [rsi], 0
        660fc2ca00 cmppd xmm1, xmm2, 0
        66440fc20e00 cmppd xmm9, xmmword ptr [rsi], 0
        660f3a08ca00 roundps xmm1, xmm2, 0
        66440f3a080e00 roundps xmm9, xmmword ptr [rsi], 0
        660f3a09ca00 roundpd xmm1, xmm2, 0
        66440f3a090e00 roundpd xmm9, xmmword ptr [rsi], 0
        660f3a40ca00 dpps xmm1, xmm2, 0
        66440f3a400e00 dpps xmm9, xmmword ptr [rsi], 0
        660f3a41ca00 dppd xmm1, xmm2, 0
        66440f3a410e00 dppd xmm9, xmmword ptr [rsi], 0
        660f3a63ca00 pcmpistri xmm1, xmm2, 0
        66440f3a630e00 pcmpistri xmm9, xmmword ptr [rsi], 0
        660f3a62ca00 pcmpistrm xmm1, xmm2, 0
        66440f3a620e00 pcmpistrm xmm9, xmmword ptr [rsi], 0
        660f3a61ca00 pcmpestri xmm1, xmm2, 0
        66440f3a610e00 pcmpestri xmm9, xmmword ptr [rsi], 0
        660f3a60ca00 pcmpestrm xmm1, xmm2, 0
        66440f3a600e00 pcmpestrm xmm9, xmmword ptr [rsi], 0
        f30fc2ca00 cmpss xmm1, xmm2, 0
        f3440fc20e00 cmpss xmm9, dword ptr [rsi], 0
        f20fc2ca00 cmpsd xmm1, xmm2, 0
        f2440fc20e00 cmpsd xmm9, qword ptr [rsi], 0
        660f3a0aca00 roundss xmm1, xmm2, 0
        66440f3a0a0e00 roundss xmm9, dword ptr [rsi], 0
        660f3a0bca00 roundsd xmm1, xmm2, 0
        66440f3a0b0e00 roundsd xmm9, qword ptr [rsi], 0
        660f3a21ca00 insertps xmm1, xmm2, 0
        66440f3a210e00 insertps xmm9, dword ptr [rsi], 0
        0ffcca paddb mm1, mm2
        0ffc1e paddb mm3, qword ptr [rsi]
        0ffdca paddw mm1, mm2
        0ffd1e paddw mm3, qword ptr [rsi]
        0ffeca paddd mm1, mm2
        0ffe1e paddd mm3, qword ptr [rsi]
        0fd4ca paddq mm1, mm2
        0fd41e paddq mm3, qword ptr [rsi]
        0fecca paddsb mm1, mm2
        0fec1e paddsb mm3, qword ptr [rsi]
        0fedca paddsw mm1, mm2
        0fed1e paddsw mm3, qword ptr [rsi]
        0fdcca paddusb mm1, mm2
        0fdc1e paddusb mm3, qword ptr [rsi]
        0fddca paddusw mm1, mm2
        0fdd1e paddusw mm3, qword ptr [rsi]
        0ff8ca psubb mm1, mm2
        0ff81e psubb mm3, qword ptr [rsi]
        0ff9ca psubw mm1, mm2
        0ff91e psubw mm3, qword ptr [rsi]
        0ffaca psubd mm1, mm2
        0ffa1e psubd mm3, qword ptr [rsi]
        0ffbca psubq mm1, mm2
        0ffb1e psubq mm3, qword ptr [rsi]
        0fe8ca psubsb mm1, mm2
        0fe81e psubsb mm3, qword ptr [rsi]
        0fe9ca psubsw mm1, mm2
        0fe91e psubsw mm3, qword ptr [rsi]
        0fd8ca psubusb mm1, mm2
        0fd81e psubusb mm3, qword ptr [rsi]
        0fd9ca psubusw mm1, mm2
        0fd91e psubusw mm3, qword ptr [rsi]
        0f3801ca phaddw mm1, mm2
        0f38011e phaddw mm3, qword ptr [rsi]
        0f3802ca phaddd mm1, mm2
        0f38021e phaddd mm3, qword ptr [rsi]
        0f3803ca phaddsw mm1, mm2
        0f38031e phaddsw mm3, qword ptr [rsi]
        0f3805ca phsubw mm1, mm2
        0f38051e phsubw mm3, qword ptr [rsi]
        0f3806ca phsubd mm1, mm2
        0f38061e phsubd mm3, qword ptr [rsi]
        0f3807ca phsubsw mm1, mm2
        0f38071e phsubsw mm3, qword ptr [rsi]
        0fd5ca pmullw mm1, mm2
        0fd51e pmullw mm3, qword ptr [rsi]
        0fe5ca pmulhw mm1, mm2
        0fe51e pmulhw mm3, qword ptr [rsi]
        0fe4ca pmulhuw mm1, mm2
        0fe41e pmulhuw mm3, qword ptr [rsi]
        0f380bca pmulhrsw mm1, mm2
        0f380b1e pmulhrsw mm3, qword ptr [rsi]
        0ff4ca pmuludq mm1, mm2
        0ff41e pmuludq mm3, qword ptr [rsi]
        0ff5ca pmaddwd mm1, mm2
        0ff51e pmaddwd mm3, qword ptr [rsi]
        0f3804ca pmaddubsw mm1, mm2
        0f38041e pmaddubsw mm3, qword ptr [rsi]
        0ff6ca psadbw mm1, mm2
        0ff61e psadbw mm3, qword ptr [rsi]
        0fe0ca pavgb mm1, mm2
        0fe01e pavgb mm3, qword ptr [rsi]
        0fe3ca pavgw mm1, mm2
        0fe31e pavgw mm3, qword ptr [rsi]
        0fdeca pmaxub mm1, mm2
        0fde1e pmaxub mm3, qword ptr [rsi]
        0feeca pmaxsw mm1, mm2
        0fee1e pmaxsw mm3, qword ptr [rsi]
        0fdaca pminub mm1, mm2
        0fda1e pminub mm3, qword ptr [rsi]
        0feaca pminsw mm1, mm2
        0fea1e pminsw mm3, qword ptr [rsi]
        0f3808ca psignb mm1, mm2
        0f38081e psignb mm3, qword ptr [rsi]
        0f3809ca psignw mm1, mm2
        0f38091e psignw mm3, qword ptr [rsi]
        0f380aca psignd mm1, mm2
        0f380a1e psignd mm3, qword ptr [rsi]
        0f381cca pabsb mm1, mm2
        0f381c1e pabsb mm3, qword ptr [rsi]
        0f381dca pabsw mm1, mm2
        0f381d1e pabsw mm3, qword ptr [rsi]
        0f381eca pabsd mm1, mm2
        0f381e1e pabsd mm3, qword ptr [rsi]
        0f74ca pcmpeqb mm1, mm2
        0f741e pcmpeqb mm3, qword ptr [rsi]
        0f75ca pcmpeqw mm1, mm2
        0f751e pcmpeqw mm3, qword ptr [rsi]
        0f76ca pcmpeqd mm1, mm2
        0f761e pcmpeqd mm3, qword ptr [rsi]
        0f64ca pcmpgtb mm1, mm2
        0f641e pcmpgtb mm3, qword ptr [rsi]
        0f65ca pcmpgtw mm1, mm2
        0f651e pcmpgtw mm3, qword ptr [rsi]
        0f66ca pcmpgtd mm1, mm2
        0f661e pcmpgtd mm3, qword ptr [rsi]
        0fdbca pand mm1, mm2
        0fdb1e pand mm3, qword ptr [rsi]
        0fdfca pandn mm1, mm2
        0fdf1e pandn mm3, qword ptr [rsi]
        0febca por mm1, mm2
        0feb1e por mm3, qword ptr [rsi]
        0fefca pxor mm1, mm2
        0fef1e pxor mm3, qword ptr [rsi]
        0ff1ca psllw mm1, mm2
        0ff11e psllw mm3, qword ptr [rsi]
        0ff2ca pslld mm1, mm2
        0ff21e pslld mm3, qword ptr [rsi]
        0ff3ca psllq mm1, mm2
        0ff31e psllq mm3, qword ptr [rsi]
        0fd1ca psrlw mm1, mm2
        0fd11e psrlw mm3, qword ptr [rsi]
        0fd2ca psrld mm1, mm2
        0fd21e psrld mm3, qword ptr [rsi]
        0fd3ca psrlq mm1, mm2
        0fd31e psrlq mm3, qword ptr [rsi]
        0fe1ca psraw mm1, mm2
        0fe11e psraw mm3, qword ptr [rsi]
        0fe2ca psrad mm1, mm2
        0fe21e psrad mm3, qword ptr [rsi]
        0f63ca packsswb mm1, mm2
        0f631e packsswb mm3, qword ptr [rsi]
        0f6bca packssdw mm1, mm2
        0f6b1e packssdw mm3, qword ptr [rsi]
        0f67ca packuswb mm1, mm2
        0f671e packuswb mm3, qword ptr [rsi]
        0f68ca punpckhbw mm1, mm2
        0f681e punpckhbw mm3, qword ptr [rsi]
        0f69ca punpckhwd mm1, mm2
        0f691e punpckhwd mm3, qword ptr [rsi]
        0f6aca punpckhdq mm1, mm2
        0f6a1e punpckhdq mm3, qword ptr [rsi]
        0f3800ca pshufb mm1, mm2
        0f38001e pshufb mm3, qword ptr [rsi]
        0f60ca punpcklbw mm1, mm2
        0f601e punpcklbw mm3, dword ptr [rsi]
        0f61ca punpcklwd mm1, mm2
        0f611e punpcklwd mm3, dword ptr [rsi]
        0f62ca punpckldq mm1, mm2
        0f621e punpckldq mm3, dword ptr [rsi]
        0f70ca00 pshufw mm1, mm2, 0
        0f701e00 pshufw mm3, qword ptr [rsi], 0
        0f3a0fca00 palignr mm1, mm2, 0
        0f3a0f1e00 palignr mm3, qword ptr [rsi], 0
        0f58ca addps xmm1, xmm2
        440f580e addps xmm9, xmmword ptr [rsi]
        660f58ca addpd xmm1, xmm2
        66440f580e addpd xmm9, xmmword ptr [rsi]
        f30f58ca addss xmm1, xmm2
        f3440f580e addss xmm9, dword ptr [rsi]
        f20f58ca addsd xmm1, xmm2
        f2440f580e addsd xmm9, qword ptr [rsi]
        0f5cca subps xmm1, xmm2
        440f5c0e subps xmm9, xmmword ptr [rsi]
        660f5cca subpd xmm1, xmm2
        66440f5c0e subpd xmm9, xmmword ptr [rsi]
        f30f5cca subss xmm1, xmm2
        f3440f5c0e subss xmm9, dword ptr [rsi]
        f20f5cca subsd xmm1, xmm2
        f2440f5c0e subsd xmm9, qword ptr [rsi]
        0f59ca mulps xmm1, xmm2
        440f590e mulps xmm9, xmmword ptr [rsi]
        660f59ca mulpd xmm1, xmm2
        66440f590e mulpd xmm9, xmmword ptr [rsi]
        f30f59ca mulss xmm1, xmm2
        f3440f590e mulss xmm9, dword ptr [rsi]
        f20f59ca mulsd xmm1, xmm2
        f2440f590e mulsd xmm9, qword ptr [rsi]
        0f5eca divps xmm1, xmm2
        440f5e0e divps xmm9, xmmword ptr [rsi]
        660f5eca divpd xmm1, xmm2
        66440f5e0e divpd xmm9, xmmword ptr [rsi]
        f30f5eca divss xmm1, xmm2
        f3440f5e0e divss xmm9, dword ptr [rsi]
        f20f5eca divsd xmm1, xmm2
        f2440f5e0e divsd xmm9, qword ptr [rsi]
        0f5dca minps xmm1, xmm2
        440f5d0e minps xmm9, xmmword ptr [rsi]
        660f5dca minpd xmm1, xmm2
        66440f5d0e minpd xmm9, xmmword ptr [rsi]
        f30f5dca minss xmm1, xmm2
        f3440f5d0e minss xmm9, dword ptr [rsi]
        f20f5dca minsd xmm1, xmm2
        f2440f5d0e minsd xmm9, qword ptr [rsi]
        0f5fca maxps xmm1, xmm2
        440f5f0e maxps xmm9, xmmword ptr [rsi]
        660f5fca maxpd xmm1, xmm2
        66440f5f0e maxpd xmm9, xmmword ptr [rsi]
        f30f5fca maxss xmm1, xmm2
        f3440f5f0e maxss xmm9, dword ptr [rsi]
        f20f5fca maxsd xmm1, xmm2
        f2440f5f0e maxsd xmm9, qword ptr [rsi]
        0f51ca sqrtps xmm1, xmm2
        440f510e sqrtps xmm9, xmmword ptr [rsi]
        660f51ca sqrtpd xmm1, xmm2
        66440f510e sqrtpd xmm9, xmmword ptr [rsi]
        f30f51ca sqrtss xmm1, xmm2
        f3440f510e sqrtss xmm9, dword ptr [rsi]
        f20f51ca sqrtsd xmm1, xmm2
        f2440f510e sqrtsd xmm9, qword ptr [rsi]
        f20fd0ca addsubps xmm1, xmm2
        f2440fd00e addsubps xmm9, xmmword ptr [rsi]
        660fd0ca addsubpd xmm1, xmm2
        66440fd00e addsubpd xmm9, xmmword ptr [rsi]
        f20f7cca haddps xmm1, xmm2
        f2440f7c0e haddps xmm9, xmmword ptr [rsi]
        660f7cca haddpd xmm1, xmm2
        66440f7c0e haddpd xmm9, xmmword ptr [rsi]
        f20f7dca hsubps xmm1, xmm2
        f2440f7d0e hsubps xmm9, xmmword ptr [rsi]
        660f7dca hsubpd xmm1, xmm2
        66440f7d0e hsubpd xmm9, xmmword ptr [rsi]
        0f5bca cvtdq2ps xmm1, xmm2
        440f5b0e cvtdq2ps xmm9, xmmword ptr [rsi]
        660f5bca cvtps2dq xmm1, xmm2
        66440f5b0e cvtps2dq xmm9, xmmword ptr [rsi]
        f30f5bca cvttps2dq xmm1, xmm2
        f3440f5b0e cvttps2dq xmm9, xmmword ptr [rsi]
        f20fe6ca cvtpd2dq xmm1, xmm2
        f2440fe60e cvtpd2dq xmm9, xmmword ptr [rsi]
        660fe6ca cvttpd2dq xmm1, xmm2
        66440fe60e cvttpd2dq xmm9, xmmword ptr [rsi]
        660f5aca cvtpd2ps xmm1, xmm2
        66440f5a0e cvtpd2ps xmm9, xmmword ptr [rsi]
        f30fe6ca cvtdq2pd xmm1, xmm2
        f3440fe60e cvtdq2pd xmm9, qword ptr [rsi]
        0f5aca cvtps2pd xmm1, xmm2
        440f5a0e cvtps2pd xmm9, qword ptr [rsi]
        f20f5aca cvtsd2ss xmm1, xmm2
        f2440f5a0e cvtsd2ss xmm9, qword ptr [rsi]
        f30f5aca cvtss2sd xmm1, xmm2
        f3440f5a0e cvtss2sd xmm9, dword ptr [rsi]
        0f2fca comiss xmm1, xmm2
        440f2f0e comiss xmm9, dword ptr [rsi]
        0f2eca ucomiss xmm1, xmm2
        440f2e0e ucomiss xmm9, dword ptr [rsi]
        660f2fca comisd xmm1, xmm2
        66440f2f0e comisd xmm9, qword ptr [rsi]
        660f2eca ucomisd xmm1, xmm2
        66440f2e0e ucomisd xmm9, qword ptr [rsi]
        660f71f100 psllw xmm1, 0
        0f71f100 psllw mm1, 0
        660f72f100 pslld xmm1, 0
        0f72f100 pslld mm1, 0
        660f73f100 psllq xmm1, 0
        0f73f100 psllq mm1, 0
        660f71d100 psrlw xmm1, 0
        0f71d100 psrlw mm1, 0
        660f72d100 psrld xmm1, 0
        0f72d100 psrld mm1, 0
        660f73d100 psrlq xmm1, 0
        0f73d100 psrlq mm1, 0
        660f71e100 psraw xmm1, 0
        0f71e100 psraw mm1, 0
        660f72e100 psrad xmm1, 0
        0f72e100 psrad mm1, 0
        660f73f900 pslldq xmm1, 0
        660f73d900 psrldq xmm1, 0
        0f28ca movaps xmm1, xmm2
        440f280e movaps xmm9, xmmword ptr [rsi]
        0f291e movaps xmmword ptr [rsi], xmm3
        660f28ca movapd xmm1, xmm2
        66440f280e movapd xmm9, xmmword ptr [rsi]
        660f291e movapd xmmword ptr [rsi], xmm3
        660f6fca movdqa xmm1, xmm2
        66440f6f0e movdqa xmm9, xmmword ptr [rsi]
        660f7f1e movdqa xmmword ptr [rsi], xmm3
        0f10ca movups xmm1, xmm2
        440f100e movups xmm9, xmmword ptr [rsi]
        0f111e movups xmmword ptr [rsi], xmm3
        660f10ca movupd xmm1, xmm2
        66440f100e movupd xmm9, xmmword ptr [rsi]
        660f111e movupd xmmword ptr [rsi], xmm3
        f30f6fca movdqu xmm1, xmm2
        f3440f6f0e movdqu xmm9, xmmword ptr [rsi]
        f30f7f1e movdqu xmmword ptr [rsi], xmm3
        f20ff00e lddqu xmm1, xmmword ptr [rsi]
        660f382a0e movntdqa xmm1, xmmword ptr [rsi]
        0f2b1e movntps xmmword ptr [rsi], xmm3
        660f2b1e movntpd xmmword ptr [rsi], xmm3
        660fe71e movntdq xmmword ptr [rsi], xmm3
        f30f10ca movss xmm1, xmm2
        f3440f100e movss xmm9, dword ptr [rsi]
        f20f10ca movsd xmm1, xmm2
        f2440f100e movsd xmm9, qword ptr [rsi]
        f30f111e movss dword ptr [rsi], xmm3
        f20f111e movsd qword ptr [rsi], xmm3
        0f120e movlps xmm1, qword ptr [rsi]
        0f131e movlps qword ptr [rsi], xmm3
        660f120e movlpd xmm1, qword ptr [rsi]
        660f131e movlpd qword ptr [rsi], xmm3
        0f160e movhps xmm1, qword ptr [rsi]
        0f171e movhps qword ptr [rsi], xmm3
        660f160e movhpd xmm1, qword ptr [rsi]
        660f171e movhpd qword ptr [rsi], xmm3
        0f12ca movhlps xmm1, xmm2
        0f16ca movlhps xmm1, xmm2
        660f6ec8 movd xmm1, eax
        660f7ec8 movd eax, xmm1
        660f6e0e movd xmm1, dword ptr [rsi]
        660f7e0e movd dword ptr [rsi], xmm1
        66480f6ec8 movq xmm1, rax
        66480f7ec8 movq rax, xmm1
        f30f7eca movq xmm1, xmm2
        f30f7e0e movq xmm1, qword ptr [rsi]
        660fd60e movq qword ptr [rsi], xmm1
        0f6ec8 movd mm1, eax
        0f7ec8 movd eax, mm1
        0f6e0e movd mm1, dword ptr [rsi]
        0f7e0e movd dword ptr [rsi], mm1
        480f6ec8 movq mm1, rax
        480f7ec8 movq rax, mm1
        0f6fca movq mm1, mm2
        0f6f0e movq mm1, qword ptr [rsi]
        0f7f0e movq qword ptr [rsi], mm1
        f30fd6ca movq2dq xmm1, mm2
        f20fd6ca movdq2q mm1, xmm2
        0fe70e movntq qword ptr [rsi], mm1
        0fc306 movnti dword ptr [rsi], eax
        480fc306 movnti qword ptr [rsi], rax
        660f3a20c800 pinsrb xmm1, eax, 0
        660f3a200e00 pinsrb xmm1, byte ptr [rsi], 0
        660fc4c800 pinsrw xmm1, eax, 0
        660fc40e00 pinsrw xmm1, word ptr [rsi], 0
        660f3a22c800 pinsrd xmm1, eax, 0
        660f3a220e00 pinsrd xmm1, dword ptr [rsi], 0
        66480f3a22c800 pinsrq xmm1, rax, 0
        66480f3a220e00 pinsrq xmm1, qword ptr [rsi], 0
        0fc4c800 pinsrw mm1, eax, 0
        0fc40e00 pinsrw mm1, word ptr [rsi], 0
        660f3a14c800 pextrb eax, xmm1, 0
        660f3a140e00 pextrb byte ptr [rsi], xmm1, 0
        660fc5c100 pextrw eax, xmm1, 0
        660f3a150e00 pextrw word ptr [rsi], xmm1, 0
        660f3a16c800 pextrd eax, xmm1, 0
        660f3a160e00 pextrd dword ptr [rsi], xmm1, 0
        66480f3a16c800 pextrq rax, xmm1, 0
        66480f3a160e00 pextrq qword ptr [rsi], xmm1, 0
        0fc5c100 pextrw eax, mm1, 0
        660f3a17c800 extractps eax, xmm1, 0
        660f3a170e00 extractps dword ptr [rsi], xmm1, 0
        660fd7c2 pmovmskb eax, xmm2
        0fd7c2 pmovmskb eax, mm2
        0f50c2 movmskps eax, xmm2
        660f50c2 movmskpd eax, xmm2
        660ff7ca maskmovdqu xmm1, xmm2
        0ff7ca maskmovq mm1, mm2
        660f3810ca pblendvb xmm1, xmm2, xmm0
        66440f38100e pblendvb xmm9, xmmword ptr [rsi], xmm0
        660f3814ca blendvps xmm1, xmm2, xmm0
        66440f38140e blendvps xmm9, xmmword ptr [rsi], xmm0
        660f3815ca blendvpd xmm1, xmm2, xmm0
        66440f38150e blendvpd xmm9, xmmword ptr [rsi], xmm0
        660f3817ca ptest xmm1, xmm2
        66440f38170e ptest xmm9, xmmword ptr [rsi]
        f30f2ac8 cvtsi2ss xmm1, eax
        f3480f2ac8 cvtsi2ss xmm1, rax
        f30f2a0e cvtsi2ss xmm1, dword ptr [rsi]
        f3480f2a0e cvtsi2ss xmm1, qword ptr [rsi]
        f20f2ac8 cvtsi2sd xmm1, eax
        f2480f2ac8 cvtsi2sd xmm1, rax
        f20f2a0e cvtsi2sd xmm1, dword ptr [rsi]
        f2480f2a0e cvtsi2sd xmm1, qword ptr [rsi]
        f30f2dc2 cvtss2si eax, xmm2
        f3480f2dc2 cvtss2si rax, xmm2
        f30f2d06 cvtss2si eax, dword ptr [rsi]
        f3480f2d06 cvtss2si rax, dword ptr [rsi]
        f30f2cc2 cvttss2si eax, xmm2
        f3480f2cc2 cvttss2si rax, xmm2
        f30f2c06 cvttss2si eax, dword ptr [rsi]
        f3480f2c06 cvttss2si rax, dword ptr [rsi]
        f20f2dc2 cvtsd2si eax, xmm2
        f2480f2dc2 cvtsd2si rax, xmm2
        f20f2d06 cvtsd2si eax, qword ptr [rsi]
        f2480f2d06 cvtsd2si rax, qword ptr [rsi]
        f20f2cc2 cvttsd2si eax, xmm2
        f2480f2cc2 cvttsd2si rax, xmm2
        f20f2c06 cvttsd2si eax, qword ptr [rsi]
        f2480f2c06 cvttsd2si rax, qword ptr [rsi]
        0f2dca cvtps2pi mm1, xmm2
        0f2d0e cvtps2pi mm1, qword ptr [rsi]
        0f2cca cvttps2pi mm1, xmm2
        0f2c0e cvttps2pi mm1, qword ptr [rsi]
        660f2dca cvtpd2pi mm1, xmm2
        660f2d0e cvtpd2pi mm1, xmmword ptr [rsi]
        660f2cca cvttpd2pi mm1, xmm2
        660f2c0e cvttpd2pi mm1, xmmword ptr [rsi]
        0f2aca cvtpi2ps xmm1, mm2
        0f2a0e cvtpi2ps xmm1, qword ptr [rsi]
        660f2aca cvtpi2pd xmm1, mm2
        660f2a0e cvtpi2pd xmm1, qword ptr [rsi]
        f20f38f0c3 crc32 eax, bl
        f20f38f006 crc32 eax, byte ptr [rsi]
        66f20f38f1c3 crc32 eax, bx
        66f20f38f106 crc32 eax, word ptr [rsi]
        f20f38f1c3 crc32 eax, ebx
        f20f38f106 crc32 eax, dword ptr [rsi]
        f2480f38f1c3 crc32 rax, rbx
        f2480f38f106 crc32 rax, qword ptr [rsi]
        f2480f38f0c3 crc32 rax, bl
        66f30fb8c3 popcnt ax, bx
        66f30fb806 popcnt ax, word ptr [rsi]
        f30fb8c3 popcnt eax, ebx
        f30fb806 popcnt eax, dword ptr [rsi]
        f3480fb8c3 popcnt rax, rbx
        f3480fb806 popcnt rax, qword ptr [rsi]
        0fae16 ldmxcsr dword ptr [rsi]
        0fae1e stmxcsr dword ptr [rsi]
        0fae06 fxsave [rsi]
        480fae06 fxsave64 [rsi]
        0f77 emms
        0faee8 lfence
        0faef8 sfence
        0faef0 mfence
        0fae3e clflush byte ptr [rsi]
        0f180e prefetcht0 byte ptr [rsi]
        0f1806 prefetchnta byte ptr [rsi]
        0f1816 prefetcht1 byte ptr [rsi]
        0f181e prefetcht2 byte ptr [rsi]
        0f0d0e prefetchw byte ptr [rsi]
        66480f3a60ca00 pcmpestrm.w xmm1, xmm2, 0
        66480f3a61ca00 pcmpestri.w xmm1, xmm2, 0
        480fae0e fxrstor64 [rsi]
        480fae26 xsave64 [rsi]
        480fc726 xsavec64 [rsi]
        480fae2e xrstor64 [rsi]
        """
}
